"""Sound model folders of every kind, and the damage that `faults_models.py` does to them."""

import json
import os
import random
import shutil
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from tests import tiny
from tests.model import gguf_files

NAN, INF, HUGE = float("nan"), float("inf"), 10**9
WEIGHTS, ADAPTER = "model.safetensors", "adapter_model.safetensors"
SETTINGS = "tokenizer_config.json"
CHATML = (
    "{% for m in messages %}{{ '<s>' + m['role'] + ' ' + m['content'] + '</s>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<s>assistant ' }}{% endif %}"
)


def build(root: Path) -> None:
    """Write one sound folder of each kind."""
    from kollama2.llama.convert import to_meta
    from kollama2.model.pieces import write_fast

    whole = tiny.write_model(root / "whole")
    put(whole, "config.json", "max_position_embeddings", 2048)
    (whole / WEIGHTS).chmod(0o644)
    fast = shutil.copytree(whole, root / "fast")
    write_fast(fast, 1)
    (fast / "tokenizer.model").unlink()
    put(fast, SETTINGS, "chat_template", CHATML)
    put(fast, SETTINGS, "tokenizer_class", "PreTrainedTokenizerFast")
    to_meta(whole, root / "meta")
    (root / "meta" / "checklist.chk").unlink()  # its sums would tell everything
    (root / "meta" / "MANIFEST.json").unlink()
    (root / "gguf").mkdir()
    gguf_files.tiny_llama(root / "gguf" / "model.gguf", whole)
    split(shutil.copytree(whole, root / "split"))
    pickled = shutil.copytree(whole, root / "pickled")
    torch.save(load_file(pickled / WEIGHTS), pickled / "pytorch_model.bin")
    (pickled / WEIGHTS).unlink()
    adapter = root / "adapter"
    adapter.mkdir()
    said = {"peft_type": "LORA", "task_type": "CAUSAL_LM", "r": 4, "lora_alpha": 8}
    said |= {"base_model_name_or_path": str(whole), "target_modules": ["q_proj", "v_proj"]}
    (adapter / "adapter_config.json").write_text(json.dumps(said))
    torch.manual_seed(1)
    name = "base_model.model.model.layers.{}.self_attn.{}_proj.lora_{}.weight"
    shapes = {"A": (4, 64), "B": (64, 4)}
    save_file(
        {name.format(i, p, k): torch.randn(*shapes[k]) for i in (0, 1) for p in "qv" for k in "AB"},
        adapter / ADAPTER,
    )


def split(folder: Path) -> Path:
    """The weights in two files with an index."""
    tensors = load_file(folder / WEIGHTS)
    where = {name: f"part-{n % 2}.safetensors" for n, name in enumerate(sorted(tensors))}
    for file in set(where.values()):
        save_file({n: tensors[n] for n in where if where[n] == file}, folder / file)
    (folder / WEIGHTS).unlink()
    (folder / f"{WEIGHTS}.index.json").write_text(json.dumps({"metadata": {}, "weight_map": where}))
    return folder


def put(folder: Path, name: str, key: str, value: Any) -> None:
    """Set a key of a JSON file, by its dotted way."""
    tree = json.loads((folder / name).read_text())
    *way, last = key.split(".")
    inner = tree
    for step in way:
        inner = inner[step]
    inner[last] = value
    (folder / name).write_text(json.dumps(tree))


def spoil(folder: Path, name: str, how: str) -> None:
    """Damage one file."""
    path = folder / name
    content = path.read_bytes()
    path.unlink()
    noise = random.Random(0).randbytes(len(content))
    new = {"empty": b"", "half": content[: len(content) // 2], "noise": noise}
    new |= {"a list": b"[]", "deep": b"[" * 100_000, "no access": content}
    if how == "a folder":
        path.mkdir()
    elif how != "missing":
        path.write_bytes(new[how])
        path.chmod(0 if how == "no access" else 0o644)


Tensors = dict[str, torch.Tensor]


def tensors_changed(folder: Path, name: str, change: Callable[[Tensors], Tensors]) -> None:
    """Change the tensors of a file."""
    if name.endswith(".pth"):
        torch.save(change(torch.load(folder / name, weights_only=True)), folder / name)
    else:
        found = {key: tensor.clone() for key, tensor in load_file(folder / name).items()}
        save_file(change(found), folder / name)


def tensors(kind: str) -> Mapping[str, Callable[[Tensors], Tensors]]:
    """Changes of tensors by name."""
    part = {"whole": "v_proj.weight", "adapter": "v_proj.lora_B.weight", "meta": "wv.weight"}[kind]

    def one(change: Callable[[torch.Tensor], torch.Tensor]) -> Callable[[Tensors], Tensors]:
        return lambda found: {n: change(t) if n.endswith(part) else t for n, t in found.items()}

    def put(number: float) -> Callable[[torch.Tensor], torch.Tensor]:
        return lambda t: t.index_fill(0, torch.tensor([1]), number)

    def added(name: str) -> Callable[[Tensors], Tensors]:
        return lambda found: {**found, name: torch.ones(64)}

    return {
        "NaN": one(put(NAN)),
        "infinite": one(put(INF)),
        "all zero": lambda found: {n: torch.zeros_like(t) for n, t in found.items()},
        "a layer of NaN": lambda f: {n: t * NAN if "0" in n else t for n, t in f.items()},
        "one row less": one(lambda t: t[1:].clone()),
        "turned": one(lambda t: t.reshape(t.shape[1], -1)[:, :3].contiguous()),
        "no rows": one(lambda t: t[:0].clone()),
        "a scalar": one(lambda t: t.sum()),
        "whole numbers": one(lambda t: t.to(torch.int8)),
        "three axes": one(lambda t: t[None].contiguous()),
        "one missing": lambda f: {n: t for n, t in f.items() if not n.endswith(part)},
        "nothing": lambda f: {},
        "others": lambda f: {f"x.{n}": t for n, t in f.items()},
        "one more": added("nosuch.weight"),
        "a layer more": added("model.layers.7.self_attn.v_proj.weight"),
        "a bias": added("model.layers.0.self_attn.q_proj.bias"),
    }


def write_header(folder: Path, name: str, header: bytes) -> None:
    """A safetensors file of a header and 64 bytes."""
    (folder / name).write_bytes(struct.pack("<Q", len(header)) + header + bytes(64))


class _Evil:
    def __reduce__(self) -> Any:
        return (os.system, ("echo EXECUTED > executed",))


def _index(**files: str) -> Callable[[Path], None]:
    """An index whose every other tensor lies in a file of this name."""

    def change(folder: Path) -> None:
        path = folder / "model.safetensors.index.json"
        tree = json.loads(path.read_text())
        to = files["to"].format(folder=folder)
        where = {n: to if f == "part-1.safetensors" else f for n, f in tree["weight_map"].items()}
        path.write_text(json.dumps({**tree, "weight_map": where}))
        state = load_file(folder / "part-1.safetensors")
        torch.save(state, folder / "part-1.bin")
        torch.save({"x": _Evil()}, folder / "evil.bin")
        Path(f"{folder}-other").mkdir()
        (folder / "part-1.safetensors").rename(f"{folder}-other/part-1.safetensors")

    return change


def _map(value: Any) -> Callable[[Path], None]:
    return lambda folder: put(folder, "model.safetensors.index.json", "weight_map", value)


INDEXES: Mapping[str, Callable[[Path], None]] = {
    "a pickle": _index(to="part-1.bin"),
    "a pickle with code": _index(to="evil.bin"),
    "outside": _index(to="../case-other/part-1.safetensors"),
    "an absolute path": _index(to="{folder}-other/part-1.safetensors"),
    "not there": _index(to="part-1.safetensors"),
    "the folder": _index(to="."),
    "nothing": _index(to=""),
    "a list": _map([]),
    "empty": _map({}),
    "numbers": _map({"a": 7}),
    "none": _map(None),
}


def _circle(folder: Path) -> None:
    other = Path(f"{folder}-other")
    other.mkdir()
    for path in folder.iterdir():
        (other / path.name).write_bytes(path.read_bytes())
    put(other, "adapter_config.json", "base_model_name_or_path", str(folder))
    put(folder, "adapter_config.json", "base_model_name_or_path", str(other))


def _own_base(folder: Path) -> None:
    put(folder, "adapter_config.json", "base_model_name_or_path", str(folder))


def _pickled(folder: Path) -> None:
    torch.save({"x": _Evil()}, folder / "adapter_model.bin")
    (folder / "adapter_model.safetensors").unlink()


def _card(**said: Any) -> Callable[[Path], None]:
    return lambda folder: (folder / "kollama2.json").write_text(json.dumps(said)) and None


ADAPTERS: Mapping[str, Callable[[Path], None]] = {
    "its own base": _own_base,
    "a circle": _circle,
    "a pickle": _pickled,
    "a card of no kind": _card(method=7),
    "a card of another base": _card(base="../nosuch", base_weights="0" * 16),
    "a card with its own base": _card(base="."),
    "a grown vocabulary": _card(vocabulary={"procedure": "x", "first": -1, "new": 3, "size": 2}),
}


_STRANGE = (None, True, 0, -1, 1.5, HUGE, 10**30, "", "x", "1", [], [7], {}, {"a": 7}, NAN, INF)


def fuzzed(folder: Path, name: str, seed: str) -> None:
    """Change a file at random: a tree in one to three places, bytes in one to eight."""
    rng, path = random.Random(seed), folder / name
    change = tree_changed if name.endswith(".json") else bytes_changed
    path.write_bytes(change(path.read_bytes(), rng))


def tree_changed(content: bytes, rng: random.Random) -> bytes:
    """JSON with some values of another kind, keys left out, values exchanged."""
    tree = json.loads(content)
    for _ in range(rng.randint(1, 3)):
        inner = tree
        while True:
            keys = list(inner) if isinstance(inner, dict) else list(range(len(inner)))
            if not keys:
                break
            key = rng.choice(keys)
            if isinstance(inner[key], dict | list) and inner[key] and rng.random() < 0.8:
                inner = inner[key]
                continue
            how = rng.random()
            if how < 0.2:
                del inner[key]
            elif how < 0.35:
                inner[key] = inner[rng.choice(keys)]
            else:
                inner[key] = rng.choice(_STRANGE)
            break
    return json.dumps(tree).encode()


def bytes_changed(content: bytes, rng: random.Random) -> bytes:
    """Bytes changed, mostly near the beginning, where heads are; sometimes cut off or longer."""
    new = bytearray(content)
    for _ in range(rng.randint(1, 8)):
        end = len(new) if rng.random() < 0.3 else min(len(new), 3000)
        new[rng.randrange(end)] = rng.choice((0, 255, 128, rng.randrange(256)))
    how = rng.random()
    if how < 0.15:
        del new[rng.randrange(len(new)) :]
    elif how < 0.2:
        new += rng.randbytes(9)
    return bytes(new)
