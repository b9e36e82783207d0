"""The files of a model folder: small ones read as JSON, copied, found; large ones known."""

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

from kollama2.errors import BadData, storage

CONFIG, GENERATION = "config.json", "generation_config.json"
PIECES, FAST = "tokenizer.model", "tokenizer.json"
TOKENIZER_CONFIG, TEMPLATE_FILE = "tokenizer_config.json", "chat_template.jinja"
ADAPTER_CONFIG, ADAPTER = "adapter_config.json", "adapter_model.safetensors"
PROCESSOR = ("preprocessor_config.json", "processor_config.json", "video_preprocessor_config.json")
"""What says how a wrapper's vision tower reads pictures."""
TOKENIZER_FILES = (
    PIECES,
    FAST,
    TOKENIZER_CONFIG,
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    TEMPLATE_FILE,
)
SINGLE, INDEX = "model.safetensors", "model.safetensors.index.json"
_LARGEST_HEADER = 100 << 20  # what safetensors itself allows
_SAMPLE = 4 << 10


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object; an empty one where there is no file.

    Raises:
        BadData: it is not JSON, no object, or says what a file of its name cannot (`shapes`).
        Denied, StorageTrouble: it cannot be read.
    """
    from kollama2.model.shapes import check_shape  # pydantic, which a start can do without

    with storage(path):
        if not path.exists():
            return {}
        text = path.read_bytes()
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadData(f"{path} is not valid JSON: {error}") from error
    if not isinstance(value, dict):
        raise BadData(f"{path} holds no JSON object")
    check_shape(path, value)
    return value


def write_json(path: Path, tree: Any, *, indent: int | None = 2) -> None:
    """Write JSON as other programs of the field write it."""
    path.write_text(json.dumps(tree, ensure_ascii=False, indent=indent) + "\n", encoding="utf-8")


def has_tokenizer(folder: Path) -> bool:
    """Whether a folder holds a tokenizer of its own."""
    return (folder / PIECES).exists() or (folder / FAST).exists()


def weight_files(folder: Path) -> list[Path]:
    """The files of whole weights: those that transformers loads, and all of them safetensors.

    Files may be links, as in a hub's cache; what an index or `config.json` names lies in the
    folder itself.

    Raises:
        BadData: there are none, or one that is named is not there, lies elsewhere or is of another
            kind.
    """
    said = read_json(folder / CONFIG).get("transformers_weights")
    index = folder / (said or INDEX)
    if said is None and (folder / SINGLE).is_file():
        return [folder / SINGLE]
    if said and not (said.endswith(".safetensors.index.json") and Path(said).name == said):
        index, names = folder / CONFIG, {said}
    elif index.is_file():
        names = set(read_json(index)["weight_map"].values())
    elif any(folder.glob("pytorch_model*.bin")):
        raise BadData(
            f"{folder} holds only pickled weights, which are never read here; make safetensors "
            f"of them: kollama2 convert {folder} -o OUT"
        )
    else:
        raise BadData(f"{folder} holds no weights; expected {SINGLE}")
    for name in sorted(names):
        if Path(name).name != name or not name.endswith(".safetensors"):
            raise BadData(f"{index} names {name}, and only .safetensors beside it are ever read")
        if not (folder / name).is_file():
            raise BadData(f"{index} names {name}, which is not in the folder")
    if not names:
        raise BadData(f"{index} names no files")
    return [folder / name for name in sorted(names)]


def copy_files(source: Path, out: Path, names: tuple[str, ...]) -> None:
    """Copy those of the files that are there, byte for byte."""
    for name in names:
        if (source / name).is_file() and source != out:
            shutil.copyfile(source / name, out / name)


def fresh(out: Path) -> None:
    """An empty folder at `out`."""
    if out.exists():
        shutil.rmtree(out)
    out.mkdir(parents=True)


def weights_id(folder: Path) -> str:
    """What whole weights or an adapter's are known by: 16 hex digits of SHA-256.

    Over names, types, shapes and the first bytes of every tensor, so that a large model is told
    from another one of its shape without reading it.

    Raises:
        BadData: a file cannot be read.
    """
    parts: dict[str, bytes] = {}
    for path in sorted(folder.glob("*.safetensors")):
        with storage(path), path.open("rb") as file:
            size = int.from_bytes(file.read(8), "little")
            try:
                header = json.loads(file.read(min(size, _LARGEST_HEADER)))
                header.pop("__metadata__", None)
                for name, about in header.items():
                    begin, end = about["data_offsets"]
                    file.seek(8 + size + begin)
                    said = f"{name} {about['dtype']} {about['shape']}\n".encode()
                    parts[name] = said + file.read(min(end - begin, _SAMPLE))
            except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
                raise BadData(f"{path} is no safetensors file: {error}") from error
    whole = b"".join(parts[name] for name in sorted(parts))
    return hashlib.sha256(whole).hexdigest()[:16]
