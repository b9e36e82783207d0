"""The files of a model folder: small ones read as JSON, copied, found; large ones known."""

import hashlib
import json
import os
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
_LARGEST_HEADER = 100 << 20  # what safetensors itself allows
_SAMPLE = 4 << 10


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object; an empty one where there is no file.

    Raises:
        BadData: it is not JSON, or no object.
    """
    if not path.is_file():
        return {}
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise BadData(f"{path} is not valid JSON: {error}") from error
    if not isinstance(value, dict):
        raise BadData(f"{path} holds no JSON object")
    return value


def write_json(path: Path, tree: Any, *, indent: int | None = 2) -> None:
    """Write JSON as other programs of the field write it."""
    path.write_text(json.dumps(tree, ensure_ascii=False, indent=indent) + "\n", encoding="utf-8")


def has_tokenizer(folder: Path) -> bool:
    """Whether a folder holds a tokenizer of its own."""
    return (folder / PIECES).is_file() or (folder / FAST).is_file()


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


def readable(path: Path) -> None:
    """The mode any new file gets; safetensors writes 0600, unreadable to a server's user."""
    mask = os.umask(0)
    os.umask(mask)
    path.chmod(0o666 & ~mask)


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
