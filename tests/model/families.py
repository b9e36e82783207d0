"""Chat templates in the style of families of models, each with a tokenizer of its kind."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.model import folders


@dataclass(frozen=True)
class Family:
    """How a family writes chats.

    Attributes:
        template: a file in `templates`, or several by what they are for.
        tokens: of the tokenizer, see `folders.byte_level`.
        system: whether a chat may have a system turn.
        spaced: whether a prompt ends in white space that an answer may go on with.
        kind: byte_level or sentencepiece.
    """

    template: Any
    tokens: dict[str, Any] = field(default_factory=dict)
    system: bool = True
    spaced: bool = False
    kind: str = "byte_level"

    def write(self, folder: Path) -> Path:
        """Write the tokenizer with its template."""
        return getattr(folders, self.kind)(folder, jinja(self.template), **self.tokens)


def jinja(name: Any) -> Any:
    """The text of a template, or of several by what they are for."""
    if isinstance(name, dict):
        return {use: jinja(one) for use, one in name.items()}
    return (Path(__file__).parent / "templates" / f"{name}.jinja").read_text(encoding="utf-8")


_IM = {"special": ("<|endoftext|>", "<|im_start|>", "<|im_end|>"), "eos": "<|im_end|>"}

_HEADERS = (
    "<|begin_of_text|>",
    "<|start_header_id|>",
    "<|end_header_id|>",
    "<|eot_id|>",
    "<|eom_id|>",
)
_TURNS = {
    "special": ("<bos>", "<eos>", "<start_of_turn>", "<end_of_turn>"),
    "bos": "<bos>",
    "eos": "<eos>",
    "adds_bos": True,
}
_TOOL_TAGS = ("<think>", "</think>", "<tool_call>", "</tool_call>")
_PIECES = {"special": ("<|im_start|>", "<|im_end|>"), "eos_token": "<|im_end|>"}

FAMILIES = {
    "chatml": Family("chatml", _IM),
    "generation": Family("generation", _IM),
    "hermes": Family("hermes", {**_IM, "plain": _TOOL_TAGS[2:]}),
    "by use": Family({"default": "chatml", "tool_use": "hermes"}, _IM),
    "qwen3": Family(
        "qwen3", {**_IM, "plain": _TOOL_TAGS, "generation": ("<|im_end|>", "<|endoftext|>")}
    ),
    "llama3": Family(
        "llama3",
        {
            "special": _HEADERS,
            "bos": _HEADERS[0],
            "eos": "<|eot_id|>",
            "adds_bos": True,
            "generation": ("<|eot_id|>", "<|eom_id|>"),
        },
    ),
    "llama3 by gpt2": Family(
        "llama3",
        {
            "special": _HEADERS,
            "bos": _HEADERS[0],
            "eos": "<|eot_id|>",
            "adds_bos": True,
            "regex": folders.GPT2,
        },
        spaced=True,
    ),
    "gemma2": Family("gemma2", _TURNS, system=False),
    "gemma3": Family("gemma3", _TURNS),
    "phi3": Family(
        "phi3",
        {
            "special": ("<|endoftext|>", "<|system|>", "<|user|>", "<|assistant|>", "<|end|>"),
            "eos": "<|endoftext|>",
            "rstrip": True,
        },
    ),
    "mistral": Family(
        "mistral", {"special": ("<s>", "</s>", "[INST]", "[/INST]"), "bos": "<s>", "eos": "</s>"}
    ),
    "harmony": Family(
        "harmony",
        {
            "special": (
                "<|start|>",
                "<|end|>",
                "<|message|>",
                "<|channel|>",
                "<|call|>",
                "<|return|>",
            ),
            "eos": "<|return|>",
            "generation": ("<|return|>", "<|call|>"),
        },
    ),
    "r1": Family(
        "r1",
        {
            "special": ("<|begin_of_sentence|>", "<|end_of_sentence|>"),
            "plain": ("<|User|>", "<|Assistant|>", "<think>", "</think>"),
            "bos": "<|begin_of_sentence|>",
            "eos": "<|end_of_sentence|>",
        },
    ),
    "open": Family("open", {"special": ("<|endoftext|>",), "eos": "<|endoftext|>"}),
    "spaced": Family(
        "spaced", {"special": ("<s>", "</s>"), "bos": "<s>", "eos": "</s>"}, spaced=True
    ),
    "llama2 chatml": Family("chatml", _PIECES, kind="sentencepiece"),
    "llama2 spaced": Family("spaced", {}, kind="sentencepiece", spaced=True),
    "llama2 mistral": Family("mistral", {"special": ("[INST]", "[/INST]")}, kind="sentencepiece"),
}
