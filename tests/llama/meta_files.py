"""Random checkpoints in Meta's form, written by its description and none of the project's code."""

import json
from pathlib import Path

import numpy as np
import torch

from tests.llama.files import Tensors, random_model

# 8 heads that 1, 2 and 8 shards divide; the second has grouped queries like the 70B model.
TINY = {
    "dim": 64, "hidden_dim": 192, "layers": 2, "heads": 8, "kv_heads": 8, "vocab": 384,
    "max_length": 64,
}  # fmt: skip
GQA = {
    "dim": 128, "hidden_dim": 448, "layers": 2, "heads": 16, "kv_heads": 8, "vocab": 384,
    "max_length": 64,
}  # fmt: skip
SHAPES = {"tiny": TINY, "gqa": GQA}
PARAMS = {
    "tiny": {
        "dim": 64, "multiple_of": 64, "n_heads": 8, "n_layers": 2, "norm_eps": 1e-5,
        "vocab_size": -1,
    },
    "gqa": {
        "dim": 128, "multiple_of": 64, "ffn_dim_multiplier": 1.3, "n_heads": 16, "n_kv_heads": 8,
        "n_layers": 2, "norm_eps": 1e-5, "vocab_size": -1,
    },
}  # fmt: skip
SPLIT = {"wq": 0, "wk": 0, "wv": 0, "w1": 0, "w3": 0, "wo": 1, "w2": 1}


def weights(kind: str) -> Tensors:
    return random_model(SHAPES[kind], shared=False)


def shard(w: Tensors, number: int, count: int) -> dict[str, np.ndarray]:
    """Name the slices of one shard as the reference's state dict does."""
    layers = len(w["wq"])
    found = {
        "tok_embeddings.weight": np.split(w["tok_embeddings"], count, 1)[number],
        "norm.weight": w["norm"],
        "output.weight": np.split(w["output"], count, 0)[number],
    }
    for i in range(layers):
        for name in ("wq", "wk", "wv", "wo"):
            piece = np.split(w[name][i], count, SPLIT[name])[number]
            found[f"layers.{i}.attention.{name}.weight"] = piece
        for name in ("w1", "w2", "w3"):
            piece = np.split(w[name][i], count, SPLIT[name])[number]
            found[f"layers.{i}.feed_forward.{name}.weight"] = piece
        for name in ("attention_norm", "ffn_norm"):
            found[f"layers.{i}.{name}.weight"] = w[name][i]
    return found


def write(folder: Path, kind: str, count: int = 1, dtype: torch.dtype = torch.float32) -> Path:
    """Write `consolidated.NN.pth` and `params.json`."""
    folder.mkdir(parents=True)
    w, shape = weights(kind), SHAPES[kind]
    half = shape["dim"] // shape["heads"] // 2
    for number in range(count):
        tensors = {
            name: torch.from_numpy(np.ascontiguousarray(piece)).to(dtype)
            for name, piece in shard(w, number, count).items()
        }
        # Meta's files hold the rotary frequencies too.
        tensors["rope.freqs"] = (10000.0 ** (-torch.arange(half) / half)).to(dtype)
        torch.save(tensors, folder / f"consolidated.{number:02d}.pth")
    (folder / "params.json").write_text(json.dumps(PARAMS[kind]))
    return folder
