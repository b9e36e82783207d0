"""Shape: the sizes of a model that may not be computed yet, from its source and what grows it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from kollama2.engine.stage import Stage
from kollama2.engine.store import Store
from kollama2.miniature import base as miniature
from kollama2.model.gguf.architectures import config_of
from kollama2.model.gguf.file import Gguf
from kollama2.stages import ExpandBlocks, ExpandVocab, Model, PruneVocab, Source
from kollama2.stages.source import content
from kollama2.vocab.settings import VocabSettings

_LEFT = ((0, 1.0), (1716, 0.480), (3671, 0.399), (7601, 0.353), (15_442, 0.324))
"""New learned pieces of Llama 2, and the share of its tokens that Korean then takes: newspapers
with 6.43 tokens an eojeol before (see the journal)."""
_SYLLABLES, _LEFT_SYLLABLES = 2239, 0.665
"""Syllables of KS X 1001 that Llama 2 lacks, and the share with those alone."""


@dataclass(frozen=True)
class Shape:
    """The sizes of a decoder that decide its cost."""

    body: int
    """Weights of the linear layers of all blocks."""
    table: int
    """Weights of the embeddings, and of the head."""
    tied: bool
    hidden: int
    layers: int
    sides: int
    """Sum of the inputs and outputs of the linear layers, which rank multiplies in an adapter."""

    @property
    def parameters(self) -> int:
        """Weights in all, without norms."""
        return self.body + self.table * (1 if self.tied else 2)

    @property
    def rows(self) -> int:
        """Rows of the embeddings."""
        return self.table // self.hidden

    def widened(self, rows: int) -> "Shape":
        """With more rows in the tables; a model never shrinks."""
        return replace(self, table=max(self.rows, rows) * self.hidden)

    def narrowed(self, rows: int) -> "Shape":
        """With so many rows in the tables."""
        return replace(self, table=rows * self.hidden)

    def deepened(self, layers: int) -> "Shape":
        """With so many blocks like its own."""
        old = self.layers
        return replace(
            self,
            layers=layers,
            body=self.body // old * layers,
            sides=self.sides // old * layers,
        )


def start_of(stage: Stage) -> Source:
    """The model that a chain of stages begins with."""
    while not isinstance(stage, Source):
        stage = stage.model  # type: ignore[attr-defined]
    return stage


def shape_of(model: Model, store: Store) -> Shape | None:
    """The shape of a model, whether or not it is computed; None where its source is out of reach.

    A vocabulary that is not learned yet is counted with all the pieces that it may have, one that
    is not pruned yet with all that it has.
    """
    match model:
        case Source() if model.place is not None and model.place.is_file():
            return _shape(config_of(Gguf(model.place)))
        case Source():
            return read_shape(config_file(model, store) or _from_hub(model))
        case ExpandVocab():
            shape = shape_of(model.model, store)
            return shape and shape.widened(_rows(model, shape, store))
        case PruneVocab():
            shape, record = shape_of(model.model, store), store.record(model.tokenizer)
            return shape and (shape.narrowed(record.metrics["size"]) if record else shape)
        case ExpandBlocks():
            shape = shape_of(model.model, store)
            return shape and shape.deepened(shape.layers + shape.layers // model.every)
        case _:
            return shape_of(model.model, store)


def _rows(model: ExpandVocab, shape: Shape, store: Store) -> int:
    record = store.record(model.tokenizer)
    if record is not None:
        return int(record.metrics["size"])
    settings = model.tokenizer.settings
    return -(-(shape.rows + settings.wanted) // settings.multiple) * settings.multiple


def tokens_left(settings: VocabSettings) -> float:
    """The share of its tokens that Korean takes after a vocabulary of Llama 2's kind has grown."""
    learned, known = settings.wanted, _LEFT
    if settings.procedure == "hangul-append" and settings.syllables:
        if learned <= _SYLLABLES:
            return 1 - (1 - _LEFT_SYLLABLES) * learned / _SYLLABLES
        learned -= _SYLLABLES
        known = ((0, _LEFT_SYLLABLES), *_LEFT[1:])
    for (low, before), (high, after) in pairwise(known):
        if learned <= high:
            return before + (after - before) * (learned - low) / (high - low)
    return known[-1][1]


def config_file(source: Source, store: Store) -> Path | None:
    """The `config.json` of a source that lies on this machine; an adapter's is its base's."""
    if source.uri == "builtin:miniature":
        return miniature.FOLDER / "config.json"
    place = source.place
    if place is None and store.record(source) is not None:
        place = content(store.path(source))
    for _ in range(8):  # an adapter on an adapter on a base
        if place is None or (place / "config.json").is_file():
            break
        place = _base(place)
    return place and place / "config.json"


def _base(folder: Path) -> Path | None:
    try:
        about = json.loads((folder / "kollama2.json").read_text(encoding="utf-8"))
        return folder / str(about["base"])
    except (OSError, KeyError, TypeError, ValueError):
        return None


def _from_hub(source: Source) -> Path | None:
    """The `config.json` of a hub model, a small file; None where the hub does not give it."""
    if not source.uri.startswith("hf:"):
        return None
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    try:
        place = hf_hub_download(
            source.uri.removeprefix("hf:"), "config.json", revision=source.revision
        )
    except (HfHubHTTPError, OfflineModeIsEnabled, OSError):
        return None  # The plan then says whose size it does not know.
    return Path(place)


def read_shape(config: Path | None) -> Shape | None:
    """The shape that a `config.json` of Llama's family tells; None for any other."""
    if config is None or not config.is_file():
        return None
    try:
        return _shape(json.loads(config.read_text(encoding="utf-8")))
    except (KeyError, TypeError, ValueError):
        return None


def _shape(config: Mapping[str, Any]) -> Shape:
    hidden, inner = config["hidden_size"], config["intermediate_size"]
    layers, heads = config["num_hidden_layers"], config["num_attention_heads"]
    head = config.get("head_dim") or hidden // heads
    queries, keys = heads * head, (config.get("num_key_value_heads") or heads) * head
    sizes = [(hidden, queries), (hidden, keys), (hidden, keys), (queries, hidden)]
    sizes += [(hidden, inner), (hidden, inner), (inner, hidden)]
    return Shape(
        body=layers * sum(a * b for a, b in sizes),
        table=config["vocab_size"] * hidden,
        tied=bool(config.get("tie_word_embeddings", False)),
        hidden=hidden,
        layers=layers,
        sides=layers * sum(a + b for a, b in sizes),
    )
