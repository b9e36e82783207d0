"""Meta's Llama 2 runtime and the Llama family's file formats, on transformers' Llama.

`from kollama2.llama import Llama, Dialog` takes the place of the reference's `from llama import …`.
Names are loaded when they are first used, so that a download does not import torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kollama2.llama.args import ModelArgs
    from kollama2.llama.dialog import ChatPrediction, CompletionPrediction, Dialog
    from kollama2.llama.runtime import Llama
    from kollama2.llama.sampling import sample_top_p
    from kollama2.llama.tokenizer import Tokenizer

__all__ = [
    "ChatPrediction",
    "CompletionPrediction",
    "Dialog",
    "Llama",
    "ModelArgs",
    "Tokenizer",
    "sample_top_p",
]

_HOMES = {
    "ChatPrediction": "dialog",
    "CompletionPrediction": "dialog",
    "Dialog": "dialog",
    "Llama": "runtime",
    "ModelArgs": "args",
    "Tokenizer": "tokenizer",
    "sample_top_p": "sampling",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
