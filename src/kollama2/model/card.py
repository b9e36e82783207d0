"""The card: `kollama2.json`, what a reader of a model folder cannot see in its weights."""

import json
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, NonNegativeInt, ValidationError

from kollama2.errors import BadData, storage

CARD = "kollama2.json"


class Vocabulary(BaseModel):
    """How a vocabulary changed.

    Attributes:
        procedure: how the new pieces were chosen, or `prune` where others left.
        first: id of the first new token.
        new: how many have a row of their own.
        reserve: tokens behind them that nothing gives.
        size: tokens in all.
        keep: the languages whose tokens stayed, if those of others left.
        init: how the new rows began.
        base: hash of the weights that the rows were added to; None once these have moved.
        trained: whether the new rows have learned since.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    procedure: str
    first: NonNegativeInt
    new: NonNegativeInt
    reserve: NonNegativeInt = 0
    size: NonNegativeInt
    keep: tuple[str, ...] = ()
    init: dict[str, Any] = {}
    base: str | None = None
    trained: bool = False


class Used(BaseModel):
    """One thing that a model was made of.

    Attributes:
        what: a base, or data that it learned from.
        uri: `hf:owner/name`, `builtin:…`, or `file:name` without its place.
        pinned: the revision or content hash; empty where none is known.
        licence: what it says of itself; empty where it says nothing.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    what: Literal["model", "data"]
    uri: str
    pinned: str = ""
    licence: str = ""


class Card(BaseModel):
    """What was done to a model.

    Attributes:
        template: the chat template it was taught by: a name, or `own` for the folder's own;
            None where nothing says it.
        method: full, lora or qlora.
        quantization: what an adapter was fitted to.
        base: where an adapter's base lies, relative to the folder.
        base_weights: what its weights are known by, `weights.weights_id`.
        vocabulary: how its vocabulary grew, if it did.
        new_blocks: places of blocks that an expansion added.
        recipe: the settings of what was done.
        made_of: its bases and its data, where one command made it.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    template: str | None = None
    method: str = "full"
    quantization: Literal["nf4"] | None = None
    base: str | None = None
    base_weights: str | None = None
    vocabulary: Vocabulary | None = None
    new_blocks: tuple[int, ...] = ()
    recipe: dict[str, Any] = {}
    made_of: tuple[Used, ...] = ()

    def changed(self, **fields: Any) -> "Card":
        """The same card with other values in some fields."""
        return self.model_copy(update=fields)


def read_card(folder: Path) -> Card:
    """Read the card of a model folder; an empty one where there is none.

    Raises:
        BadData: the file is no such card.
    """
    path = folder / CARD
    with storage(path):
        if not path.exists():
            return Card()
        content = path.read_bytes()
    try:
        return Card.model_validate_json(content)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the file"
        raise BadData(f"{path}: {place}: {first['msg']}; correct it, or remove the file") from error


def write_card(folder: Path, card: Card) -> None:
    """Write the card of a model folder; whole weights stand on no base."""
    kept = {"template", "method", "quantization", "recipe"}
    maybe = ("base", "base_weights", "vocabulary", "new_blocks", "made_of")
    kept |= {name for name in maybe if getattr(card, name)}
    if card.method == "full":
        kept -= {"base", "base_weights"}
    tree = card.model_dump(mode="json", include=kept)
    text = json.dumps(tree, ensure_ascii=False, indent=2, sort_keys=True)
    (folder / CARD).write_text(text + "\n", encoding="utf-8")
