"""Stored: the tensors of safetensors files by name, read where they are asked for, and checked."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from math import prod
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor

from kollama2.errors import BadData, storage
from kollama2.model.files import weight_files
from kollama2.model.reading import reading

_FLOATS = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
}


@contextmanager
def opened(folder: Path, files: Sequence[Path] | None = None) -> Iterator[dict[str, "Opened"]]:
    """The file of each tensor of a folder, by name.

    Args:
        folder: with whole weights.
        files: other files than those of its weights.

    Raises:
        BadData: one is not there, or is damaged, or two have another tensor under one name.
    """
    with ExitStack() as stack:
        found: dict[str, Opened] = {}
        for path in weight_files(folder) if files is None else files:
            with storage(path):
                path.open("rb").close()  # safetensors takes what is forbidden for missing
            with reading(path, "is damaged"):
                file = Opened(stack.enter_context(safe_open(path, framework="pt")), path)
            for name in sorted(found.keys() & set(file.names)):
                one, other = found[name].get(name), file.get(name)
                if one.dtype != other.dtype or not torch.equal(one, other):
                    raise BadData(
                        f"{path} holds another {name} than {found[name].path.name}; only one of "
                        "them is the model's, so fetch both again"
                    )
            found.update(dict.fromkeys(file.names, file))
        yield found


class Opened:
    """One open safetensors file."""

    def __init__(self, file: Any, path: Path) -> None:
        self._file, self.path = file, path
        self.names: list[str] = list(file.keys())

    def get(self, name: str) -> Tensor:
        """A tensor as stored.

        Raises:
            BadData: it holds NaN or an infinity.
        """
        with reading(self.path, "is damaged"):
            tensor: Tensor = self._file.get_tensor(name)
        # A scalar is no weight: old GPT-NeoX files have -inf in one for masks.
        if tensor.dim() and not finite(tensor):
            raise BadData(f"{self.path}: {name} holds NaN or infinities; fetch it again")
        return tensor

    def shape(self, name: str) -> list[int]:
        """The shape of a tensor, without reading it."""
        return list(self._file.get_slice(name).get_shape())

    def dtype(self, name: str) -> torch.dtype | None:
        """What numbers a tensor is stored in, without reading it; None if not floating."""
        return _FLOATS.get(self._file.get_slice(name).get_dtype())

    def numbers(self, name: str) -> int:
        """How many numbers a tensor holds, without reading it."""
        return prod(self.shape(name))


def finite(tensor: Tensor) -> bool:
    """Whether a tensor holds no NaN and no infinity; its extremes tell it in one pass.

    Whole numbers, bytes and packed ones hold none.
    """
    if tensor.dtype not in _FLOATS.values() or tensor.numel() == 0:
        return True
    return bool(torch.stack(torch.aminmax(tensor)).isfinite().all())
