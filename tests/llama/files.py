"""Random models and tokenizers in llama2.c's file formats, written by their description."""

import struct
from pathlib import Path

import numpy as np
import sentencepiece

Tensors = dict[str, np.ndarray]

ATTENTION = ["wq", "wk", "wv", "wo"]
FEED_FORWARD = ["w1", "w2", "w3"]
HEADER = {
    "dim": 32,
    "hidden_dim": 48,
    "layers": 2,
    "heads": 4,
    "kv_heads": 2,
    "vocab": 384,
    "max_length": 64,
}


def random_model(header: dict[str, int], shared: bool) -> Tensors:
    d, h, n, v = header["dim"], header["hidden_dim"], header["layers"], header["vocab"]
    kv = d // header["heads"] * header["kv_heads"]
    shapes = {
        "tok_embeddings": (v, d),
        "attention_norm": (n, d),
        "wq": (n, d, d),
        "wk": (n, kv, d),
        "wv": (n, kv, d),
        "wo": (n, d, d),
        "ffn_norm": (n, d),
        "w1": (n, h, d),
        "w2": (n, d, h),
        "w3": (n, h, d),
        "norm": (d,),
    }
    if not shared:
        shapes["output"] = (v, d)
    rng = np.random.default_rng(7)
    return {k: rng.normal(0, 0.2, shape).astype("<f4") for k, shape in shapes.items()}


def legacy_bytes(header: dict[str, int], w: Tensors) -> bytes:
    sign = 1 if "output" not in w else -1
    numbers = [*header.values()]
    numbers[5] *= sign
    tables = np.zeros((2, header["max_length"], header["dim"] // header["heads"] // 2), "<f4")
    order = ["tok_embeddings", "attention_norm", *ATTENTION, "ffn_norm", *FEED_FORWARD, "norm"]
    parts = [w[name] for name in order] + [tables] + ([w["output"]] if sign < 0 else [])
    return struct.pack("<7i", *numbers) + b"".join(part.tobytes() for part in parts)


def v1_bytes(header: dict[str, int], w: Tensors) -> bytes:
    head = struct.pack("<I8iB", 0x616B3432, 1, *header.values(), "output" not in w)
    order = ["attention_norm", "ffn_norm", "norm", "tok_embeddings", *ATTENTION, *FEED_FORWARD]
    parts = [w[name] for name in order] + ([w["output"]] if "output" in w else [])
    return head.ljust(256, b"\0") + b"".join(part.tobytes() for part in parts)


def tokenizer_bytes(model: Path) -> bytes:
    """Write a SentencePiece model the way llama2.c's exporter does."""
    sp = sentencepiece.SentencePieceProcessor(model_file=str(model))
    texts = [sp.id_to_piece(i).replace("▁", " ") for i in range(sp.get_piece_size())]
    texts[1], texts[2] = "\n<s>\n", "\n</s>\n"
    coded = [text.encode() for text in texts]
    data = struct.pack("<i", max(map(len, coded)))
    for i, text in enumerate(coded):
        data += struct.pack("<fi", sp.get_score(i), len(text)) + text
    return data


def forward(w: Tensors, header: dict[str, int], ids: list[int]) -> np.ndarray:
    """Llama in the checkpoint's own layout: rotate neighbouring pairs; logits of every position."""
    heads, kv, size = header["heads"], header["kv_heads"], header["dim"] // header["heads"]
    length = len(ids)
    angle = np.arange(length)[:, None] * 10000.0 ** (-np.arange(0, size, 2) / size)
    turn = np.exp(1j * angle)[:, None, :]

    def norm(x: np.ndarray, weight: np.ndarray) -> np.ndarray:
        return x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-5) * weight

    def rotate(x: np.ndarray) -> np.ndarray:
        pairs = np.ascontiguousarray(x, dtype=np.float64).view(np.complex128) * turn
        return pairs.view(np.float64)

    x = w["tok_embeddings"][ids].astype(np.float64)
    mask = np.triu(np.full((length, length), -np.inf), 1)
    for i in range(header["layers"]):
        h = norm(x, w["attention_norm"][i])
        q = rotate((h @ w["wq"][i].T).reshape(length, heads, size))
        k = rotate((h @ w["wk"][i].T).reshape(length, kv, size)).repeat(heads // kv, axis=1)
        v = (h @ w["wv"][i].T).reshape(length, kv, size).repeat(heads // kv, axis=1)
        score = np.einsum("qhd,khd->hqk", q, k) / np.sqrt(size) + mask
        p = np.exp(score - score.max(-1, keepdims=True))
        p /= p.sum(-1, keepdims=True)
        x = x + np.einsum("hqk,khd->qhd", p, v).reshape(length, -1) @ w["wo"][i].T
        h = norm(x, w["ffn_norm"][i])
        gate = h @ w["w1"][i].T
        x = x + (gate / (1 + np.exp(-gate)) * (h @ w["w3"][i].T)) @ w["w2"][i].T
    return norm(x, w["norm"]) @ w.get("output", w["tok_embeddings"]).T
