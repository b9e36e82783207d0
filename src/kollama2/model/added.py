"""Added tokens: those that a tokenizer has beside its vocabulary, wherever its folder says so."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kollama2.model.files import FAST, TOKENIZER_CONFIG, read_json

_FLAGS = ("single_word", "lstrip", "rstrip", "normalized")


@dataclass(frozen=True, slots=True)
class Added:
    """One added token.

    Attributes:
        id: its id.
        special: whether it is a control token; an ordinary one stands for its text.
        flags: how it is looked for in a text, as the tokenizers library names it.
    """

    id: int
    special: bool = False
    flags: Mapping[str, bool] = field(default_factory=dict)


def added_tokens(
    folder: Path, listed: Sequence[Mapping[str, Any]] | None = None
) -> dict[str, Added]:
    """The added tokens of a folder by their text; what its settings say of one comes first.

    Args:
        folder: holds the tokenizer.
        listed: those of its `tokenizer.json`, where the caller has read that large file already.
    """
    if listed is None:
        listed = read_json(folder / FAST).get("added_tokens") or []
    config = read_json(folder / TOKENIZER_CONFIG)
    found = {name: Added(int(i)) for name, i in read_json(folder / "added_tokens.json").items()}
    for one in listed:
        found[one["content"]] = _token(int(one["id"]), one)
    for i, one in (config.get("added_tokens_decoder") or {}).items():
        found[one["content"]] = _token(int(i), one)
    # Older folders list ids alone; which of them are control tokens their settings say by name.
    for name in {*_named(config), *_named(read_json(folder / "special_tokens_map.json"))}:
        if name in found and not found[name].special:
            found[name] = Added(found[name].id, True, found[name].flags)
    return found


def token_named(settings: Mapping[str, Any], part: str) -> str | None:
    """The token that a tokenizer's settings name for a part, such as eos."""
    name = settings.get(f"{part}_token")
    return name.get("content") if isinstance(name, dict) else name


def _token(i: int, one: Mapping[str, Any]) -> Added:
    return Added(i, bool(one.get("special")), {k: bool(one[k]) for k in _FLAGS if k in one})


def _named(settings: Mapping[str, Any]) -> Iterator[str]:
    """The names that settings give to control tokens, as `eos_token` or `extra_special_tokens`."""
    for key, value in settings.items():
        if key.endswith(("_token", "special_tokens")):
            listed = value if isinstance(value, list) else [value]
            if isinstance(value, dict) and "content" not in value:
                listed = list(value.values())
            for one in listed:
                name = one.get("content") if isinstance(one, dict) else one
                if isinstance(name, str):
                    yield name
