"""K-quants: which type of llama.cpp's mixtures a matrix gets, and ggml's own quantiser of it.

The mixture follows the rules of its `llama-quantize` for models without experts; a file of its own
was never made here to compare.
"""

import ctypes
import importlib.util
from functools import cache
from pathlib import Path
from typing import Any

from kollama2.errors import Missing

MIXTURES = {"Q4_K_M": "Q4_K", "Q5_K_M": "Q5_K", "Q6_K": "Q6_K"}
"""What most matrices are stored in."""
_BLOCK = 256
_INSTEAD = {"Q4_K": "Q5_0", "Q5_K": "Q5_1", "Q6_K": "Q8_0"}  # rows of whole blocks of 32 only
_HUGE = 80  # layers, of which llama.cpp takes a model for Llama 2's largest


def mixed(name: str, width: int, mixture: str, layers: int, *, table: bool) -> str:
    """The type of a matrix in a mixture.

    Args:
        name: as in the file.
        width: of its rows; those that are no whole number of blocks get an older type.
        mixture: of `MIXTURES`.
        layers: of the model.
        table: whether it gives the logits.
    """
    kind = MIXTURES[mixture]
    if table:
        return "Q6_K" if width % _BLOCK == 0 else "Q8_0"
    if name.startswith("blk.") and mixture != "Q6_K":
        part = name.split(".")[2]
        if part in ("attn_v", "ffn_down") and _dear(int(name.split(".")[1]), layers):
            kind = "Q6_K"
        elif part == "attn_v" and layers == _HUGE and kind == "Q4_K":
            kind = "Q5_K"
    return kind if width % _BLOCK == 0 else _INSTEAD[kind]


def _dear(layer: int, layers: int) -> bool:
    """Whether a layer gets more bits: the first and last eighth, and every third between."""
    eighth = layers // 8
    return layer < eighth or layer >= 7 * layers // 8 or (layer - eighth) % 3 == 2


def pack(numbers: Any, kind: str) -> Any:
    """Rows as ggml stores them.

    Args:
        numbers: (rows, width) in float32.
        kind: the name of a type of ggml.

    Returns:
        (rows, bytes of a row).

    Raises:
        Missing: `libggml-python` is not installed.
    """
    import gguf
    import numpy as np

    numbers = np.ascontiguousarray(numbers, dtype=np.float32)
    form = gguf.GGMLQuantizationType[kind]
    block, size = gguf.GGML_QUANT_SIZES[form]
    rows, width = numbers.shape
    packed = np.empty((rows, width // block * size), dtype=np.uint8)
    source = numbers.ctypes.data_as(ctypes.POINTER(ctypes.c_float))
    written = ggml().ggml_quantize_chunk(form, source, packed.ctypes.data, 0, rows, width, None)
    assert written == packed.nbytes, "ggml and gguf know the same types"
    return packed


@cache
def ggml() -> Any:
    """The library of ggml that `libggml-python` brings.

    Raises:
        Missing: it is not installed.
    """
    found = importlib.util.find_spec("libggml")
    places = found.submodule_search_locations if found else None
    files = [
        file for place in places or () for file in sorted(Path(place).glob("lib*/libggml-base.*"))
    ]
    if not files:
        raise Missing(
            "K-quants are made by ggml, which is not installed; pip install 'kollama2[kquants]'"
        )
    library = ctypes.CDLL(str(files[0]))
    library.ggml_quantize_chunk.restype = ctypes.c_size_t
    library.ggml_quantize_chunk.argtypes = [
        ctypes.c_int, ctypes.POINTER(ctypes.c_float), ctypes.c_void_p, ctypes.c_int64,
        ctypes.c_int64, ctypes.c_int64, ctypes.POINTER(ctypes.c_float),
    ]  # fmt: skip
    return library
