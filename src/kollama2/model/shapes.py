"""Shapes: what the JSON files of a model folder hold where it is read, one type for each file.

Files of other programs say much more, which is left to those that read it.
"""

import reprlib
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError

from kollama2.errors import BadData

_Count = Annotated[int, Field(ge=1)]
_Id = Annotated[int, Field(ge=0, lt=1 << 31)]
_Ids = int | list[int] | None
_Kernel = Annotated[str, Field(pattern=r"^[^/]*$")]  # with one, it is code of a hub
_Digits = Annotated[str, Field(pattern=r"^[0-9]{1,9}$")]


class _Shape(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore")


class _Network(_Shape):
    """The numbers of a language model; families differ in which of them they have."""

    num_hidden_layers: _Count | None = None
    n_layer: _Count | None = None
    hidden_size: _Count | None = None
    n_embd: _Count | None = None
    intermediate_size: _Count | list[_Count] | None = None
    num_attention_heads: _Count | list[_Count] | None = None
    num_key_value_heads: _Count | list[_Count] | None = None
    head_dim: _Count | None = None
    vocab_size: _Count | None = None
    max_position_embeddings: _Count | None = None
    bos_token_id: _Ids = None
    eos_token_id: _Ids = None
    tie_word_embeddings: bool | None = None
    layer_types: list[str] | None = None
    attn_implementation: _Kernel | dict[str, _Kernel] | None = None
    kernel: _Kernel | dict[str, _Kernel] | None = Field(None, alias="_attn_implementation")


class _Config(_Network):
    model_type: str | None = None
    architectures: list[str] | None = None
    text_config: _Network | None = None
    quantization_config: dict[str, Any] | None = None
    transformers_weights: str | None = None


class _Generation(_Shape):
    bos_token_id: _Ids = None
    eos_token_id: _Ids = None
    pad_token_id: _Ids = None


class _Token(_Shape):
    content: str
    special: bool = False


class _Numbered(_Token):
    id: _Id


class _Named(_Shape):
    content: str


class _Template(_Shape):
    name: str
    template: str


_Name = str | _Named | None


class _TokenizerConfig(_Shape):
    added_tokens_decoder: dict[_Digits, _Token] | None = None
    chat_template: str | list[_Template] | dict[str, str] | None = None
    tokenizer_class: str | None = None
    add_bos_token: bool | None = None
    bos_token: _Name = None
    eos_token: _Name = None
    pad_token: _Name = None
    unk_token: _Name = None


class _Pieces(_Shape):
    vocab: dict[str, _Id] | list[Any] | None = None
    merges: list[Any] | None = None
    type: str | None = None


class _Fast(_Shape):
    model: _Pieces | None = None
    added_tokens: list[_Numbered] | None = None


class _Adapter(_Shape):
    base_model_name_or_path: str | None = None
    peft_type: str | None = None
    r: _Count | dict[str, Any] | None = None
    rank_pattern: dict[str, _Count] | None = None
    lora_alpha: FiniteFloat | None = None
    alpha_pattern: dict[str, FiniteFloat] | None = None
    megatron_config: None = None  # PEFT would import the module that is named beside it


class _Index(_Shape):
    weight_map: dict[str, str]


_SHAPES: Mapping[str, type[_Shape]] = {
    "config.json": _Config,
    "generation_config.json": _Generation,
    "tokenizer_config.json": _TokenizerConfig,
    "tokenizer.json": _Fast,
    "adapter_config.json": _Adapter,
}


def check_shape(path: Path, value: object) -> None:
    """Refuse what a JSON file of this name cannot hold.

    Raises:
        BadData: it does; the sentence names the first place and its value.
    """
    kind = _Index if path.name.endswith(".index.json") else _SHAPES.get(path.name)
    if kind is None:
        return
    try:
        kind.model_validate(value)
    except ValidationError as error:
        found = [(*_place(value, one["loc"]), one) for one in error.errors(include_url=False)]
        place, there, about = max(found, key=lambda one: len(one[0]))  # unions: the nearest miss
        wanted = about["msg"].replace("Input", "it", 1)
        if about["type"] == "missing":
            place, there, wanted = [*place, str(about["loc"][-1])], None, "it is needed"
        name = textwrap.shorten(".".join(place), 100, placeholder="…") or "the whole"
        raise BadData(f"{path}: {name} is {reprlib.repr(there)}, and {wanted}") from error


def _place(value: Any, steps: Sequence[int | str]) -> tuple[list[str], Any]:
    """The steps of a place that lead into a value, and what stands there.

    Between them, pydantic names the members of unions.
    """
    place = list[str]()
    for step in steps:
        try:
            value = value[step]
        except (LookupError, TypeError):
            continue
        place.append(str(step))
    return place, value
