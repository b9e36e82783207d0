"""A GGUF file: its metadata and tensors, read where they lie in the file.

The `gguf` library knows how numbers are packed; its reader makes an object of every word of a
vocabulary, which takes half a minute for Gemma's.
"""

import mmap
import struct
from collections import Counter
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from kollama2.errors import BadData, storage
from kollama2.model.reading import reading

if TYPE_CHECKING:
    import numpy as np

SUFFIX = ".gguf"
_MAGIC, _VERSIONS = b"GGUF", (2, 3)
# GGUF's types of values: fixed widths as struct writes them, text, arrays.
_FIXED = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_TEXT, _ARRAY, _FLOAT = 8, 9, 6
_ALIGNMENT = 32


class Entry(NamedTuple):
    """Where a tensor lies and how it is stored.

    Attributes:
        shape: rows first, as in torch.
        kind: ggml's number of the type of its blocks.
        start: of its first byte in the file.
    """

    shape: tuple[int, ...]
    kind: int
    start: int


def is_gguf(path: Path) -> bool:
    """Whether a path is a file that is, or by its name should be, a GGUF."""
    if not path.is_file():
        return False
    if path.suffix == SUFFIX:
        return True
    with storage(path), path.open("rb") as file:
        return file.read(len(_MAGIC)) == _MAGIC


class Gguf:
    """A GGUF file, opened.

    Args:
        path: the file.

    Attributes:
        path: the file.
        metadata: the values by key, arrays as lists.
        tensors: by name.

    Raises:
        BadData: it is no GGUF, is damaged or cut off, or is one part of several.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.metadata: dict[str, Any] = {}
        self.tensors: dict[str, Entry] = {}
        with storage(path), path.open("rb") as file:
            head = file.read(8)
            if head[:4] != _MAGIC:
                raise BadData(
                    f"{path} is not a GGUF file: it begins with {head[:4]!r}, not {_MAGIC!r}; "
                    "download it again, or name a model folder"
                )
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self._at = 4
        with reading(path, "is damaged: its head cannot be read"):
            try:
                self._read()
            except struct.error as error:
                raise BadData(
                    f"{path} is cut off: its {len(self._map):,} bytes end inside its head; "
                    "download it again"
                ) from error
            parts = int(self.metadata.get("split.count", 1))
            self._check()
        if parts > 1:
            raise BadData(
                f"{path} is one of {parts} parts; join them with llama-gguf-split --merge, and "
                "name the whole file"
            )

    def _read(self) -> None:
        (version,) = self._next("I")
        if version not in _VERSIONS:
            raise ValueError(f"version {version}, expected 2 or 3 of the little-endian form")
        count, keys = self._next("QQ")
        for _ in range(keys):
            name, (kind,) = self._text(), self._next("I")
            self.metadata[name] = self._value(kind)
        found = []
        for _ in range(count):
            name, (dimensions,) = self._text(), self._next("I")
            shape = self._next(f"{min(dimensions, 9)}Q")
            found.append((name, tuple(reversed(shape)), *self._next("IQ")))
        step = int(self.metadata.get("general.alignment", _ALIGNMENT))
        data = -(-self._at // step) * step
        self.tensors = {name: Entry(shape, kind, data + at) for name, shape, kind, at in found}

    def _next(self, form: str) -> tuple[Any, ...]:
        values = struct.unpack_from(f"<{form}", self._map, self._at)
        self._at += struct.calcsize(f"<{form}")
        return values

    def _text(self) -> str:
        (length,) = self._next("Q")
        end = self._at + length
        if end > len(self._map):
            raise ValueError("a text goes on behind its end")
        text, self._at = self._map[self._at : end].decode(), end
        return text

    def _value(self, kind: int) -> Any:
        if kind == _TEXT:
            return self._text()
        if kind == _FLOAT:
            return _shortest(self._next("f")[0])
        if kind in _FIXED:
            return self._next(_FIXED[kind])[0]
        if kind != _ARRAY:
            raise ValueError(f"a value of the unknown type {kind}")
        inner, count = self._next("IQ")
        if count > len(self._map) or inner == _ARRAY:
            raise ValueError(f"an array of {count} values of type {inner}")
        if inner in _FIXED:
            return list(self._next(f"{count}{_FIXED[inner]}"))
        return [self._value(inner) for _ in range(count)]

    def _check(self) -> None:
        for name, entry in self.tensors.items():
            if entry.start + self._size(name) > len(self._map):
                raise BadData(
                    f"{self.path} is cut off: it has {len(self._map):,} bytes and {name} ends "
                    "behind them; download it again"
                )

    def _size(self, name: str) -> int:
        block, width = self._block(name)
        return prod(self.tensors[name].shape) // block * width

    def _block(self, name: str) -> tuple[int, int]:
        """How many numbers a block of a tensor holds, and its bytes."""
        import gguf

        kind = self.tensors[name].kind
        try:
            block, width = gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType(kind)]
        except (ValueError, KeyError) as error:
            raise BadData(
                f"{self.path}: {name} is stored as type {kind}, which gguf does not know; take a "
                "file in Q8_0, Q6_K, Q4_K_M, F16 or BF16"
            ) from error
        return int(block), int(width)

    @property
    def architecture(self) -> str:
        """The architecture that the file names."""
        return str(self.metadata.get("general.architecture", ""))

    def kinds(self) -> dict[str, int]:
        """How many matrices are stored in each type, by its name."""
        import gguf

        kinds = (entry.kind for entry in self.tensors.values() if len(entry.shape) > 1)
        found = Counter(gguf.GGMLQuantizationType(kind).name for kind in kinds)
        return dict(sorted(found.items()))

    def numbers(
        self, name: str, first: int = 0, count: int | None = None
    ) -> "np.ndarray[Any, np.dtype[np.float32]]":
        """Numbers of a tensor in float32.

        Args:
            name: of the tensor.
            first: row that they begin with.
            count: of rows; all that follow if not given.

        Returns:
            An array of the rows' shape.

        Raises:
            BadData: gguf cannot unpack their type.
        """
        import gguf
        import numpy as np

        entry = self.tensors[name]
        block, width = self._block(name)
        rows = entry.shape[0] if len(entry.shape) > 1 else 1
        count = rows - first if count is None else count
        row = prod(entry.shape) // rows // block * width
        packed = np.frombuffer(self._map, np.uint8, count * row, entry.start + first * row)
        kind = gguf.GGMLQuantizationType(entry.kind)
        try:
            numbers = gguf.quants.dequantize(packed.reshape(count, row), kind)
        except NotImplementedError as error:
            raise BadData(
                f"{self.path}: {name} is stored as {kind.name}, which gguf cannot unpack; take a "
                "file in Q8_0, Q6_K, Q4_K_M, F16 or BF16"
            ) from error
        shape = (count, *entry.shape[1:]) if len(entry.shape) > 1 else entry.shape
        return np.asarray(numbers, np.float32).reshape(shape)


def _shortest(number: float) -> float:
    """A float32 as the shortest decimal that gives it: 1e-05, not 9.999999747378752e-06."""
    import numpy as np

    return float(str(np.float32(number)))
