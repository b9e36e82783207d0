"""Conversion: a GGUF as a model folder in Hugging Face's form, made once and kept."""

from collections.abc import Callable
from math import prod
from pathlib import Path
from typing import Any

from kollama2.engine.commit import committing
from kollama2.errors import storage
from kollama2.model.card import Card, write_card
from kollama2.model.files import TEMPLATE_FILE
from kollama2.model.folder import OWN
from kollama2.model.gguf.architectures import config_of
from kollama2.model.gguf.file import Gguf, is_gguf
from kollama2.model.gguf.tokenizer import write_tokenizer
from kollama2.model.kept import fingerprint, made_once, need_space, place
from kollama2.model.reading import reading

EDITION = 1
"""Raise it when the same file would become another folder."""
Tell = Callable[[str], None]


def to_hugging_face(path: Path, out: Path) -> dict[str, Any]:
    """Write a GGUF as a model folder that appears whole, with a manifest, or not at all.

    Memory: at most 4 GiB of tensors and the largest of them. Packed weights become bfloat16, so
    that a file of four bits an entry grows three or four times; F32, F16 and BF16 stay as they are.

    Args:
        path: the file.
        out: the folder to make.

    Returns:
        `parameters`, `dtype`, and `types`: how many matrices the file has in each.

    Raises:
        BadData: its kind is not read, or its ids would not be its own.
        TryLater: the disk has no room.
        Fault: as `Gguf` and `committing`.
    """
    from kollama2.model.gguf.weights import stored_as, write_config, write_weights

    file = Gguf(path)
    with committing(out) as partial, reading(path, "cannot be unpacked"), storage(out):
        dtype = stored_as(file)
        numbers = sum(prod(entry.shape) for entry in file.tensors.values())
        need_space(partial, numbers * dtype.itemsize)
        model = write_config(file, partial)
        write_tokenizer(file, partial)
        count = write_weights(file, model, partial)
        types = file.kinds()
        template = OWN if (partial / TEMPLATE_FILE).is_file() else None
        about = {"file": path.name, "types": types}
        write_card(partial, Card(template=template, recipe={"gguf": about}))
    return {"parameters": count, "dtype": str(dtype).split(".")[1], "types": types}


def cached(path: Path, tell: Tell = lambda text: None) -> Path:
    """The model folder of a GGUF, made at its first use and kept beside the file.

    It lies below the folder that the environment variable KOLLAMA2_CACHE names, or below
    ~/.cache/kollama2, where the file's folder may not be written. A changed file is converted anew.

    Args:
        path: the file.
        tell: receives a sentence before the work begins, and one behind it.

    Raises:
        Fault: as `to_hugging_face`; Corrupt where the kept folder was damaged since.
    """
    name = f"{path.name}-safetensors-{fingerprint([path], EDITION)}"

    def make(out: Path) -> None:
        with reading(path, "cannot be unpacked"):
            config_of(Gguf(path))  # what cannot be read is said before anything else is
        tell(f"{path}: unpacked once, into {out}")
        found = to_hugging_face(path, out)
        size = sum(one.stat().st_size for one in out.iterdir())
        tell(f"{out}: {found['parameters']:,} parameters in {found['dtype']}, {size:,} bytes")

    return made_once(place(path.parent, name), make)


def as_folder(path: Path, tell: Tell = lambda text: None) -> Path:
    """The model folder that a path is, or that its GGUF becomes."""
    return cached(path, tell) if is_gguf(path) else path
