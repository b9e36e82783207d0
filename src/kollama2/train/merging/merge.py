"""Merging model folders: tensor by tensor, rows of tables aligned by token, nothing held whole."""

import re
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from kollama2.errors import BadUsage
from kollama2.locale import mark
from kollama2.model.card import Card
from kollama2.model.files import CONFIG, GENERATION, copy_files, fresh
from kollama2.model.folder import OWN, ModelFolder, is_adapter
from kollama2.model.handover import hand_over, taught
from kollama2.model.load import stored_dtype
from kollama2.model.weights import ShardWriter, Weights
from kollama2.train.merging import methods
from kollama2.train.merging.alike import same_shape, shared_rows
from kollama2.train.merging.settings import MergeSettings

Progress = Callable[..., None]
_LAYER = re.compile(r"\.layers\.(\d+)\.")


def gap(first: Path, second: Path) -> float:
    """The relative gap of two models: Σ|a - b| / (Σ|a| + Σ|b|), tables over shared tokens.

    Under a few per cent differences can be carried over; beyond that the models are not close
    enough for it (arXiv 2505.12716, section 2).

    Raises:
        BadUsage: the models are not of one architecture.
    """
    same_shape([first, second])
    with ExitStack() as stack:
        ours, theirs = (stack.enter_context(Weights(folder)) for folder in (first, second))
        return _gap(ours, theirs)


def _gap(ours: Weights, theirs: Weights) -> float:
    rows = shared_rows(ours, theirs)
    apart = sizes = 0.0
    for name in ours.names:
        if not _merged(name, ours, [theirs]):
            continue
        first, second = ours.get(name).double(), theirs.get(name).double()
        if name in ours.tables and rows is not None:
            first, second = first[rows[0]], second[rows[1]]
        apart += float((first - second).abs().sum())
        sizes += float(first.abs().sum() + second.abs().sum())
    return apart / sizes if sizes else 0.0


def _merged(name: str, ours: Weights, others: Sequence[Weights]) -> bool:
    """Whether a tensor takes part: of the language model, of numbers, and all have it."""
    if not (name in ours.tables or ours.body(name)) or any(name not in one for one in others):
        return False
    return ours.get(name).is_floating_point()


def merge_models(
    settings: MergeSettings,
    out: Path,
    *,
    ours: Path,
    others: Sequence[Path],
    base: Path | None = None,
    template: str | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Write a merged model: its tokenizer, configuration and dtype are those of `ours`.

    Rows of the embeddings and of the head are merged for the tokens that all models have; other
    rows of `ours` stay. Differences are computed in float32, or in float64 where weights are
    stored in float32, so that weight 0 gives `ours` and weight 1 the exact sum.

    Args:
        settings: method and its numbers.
        out: the folder to write; what is there is replaced.
        ours: the model that is changed.
        others: what it is merged with: one, or several for linear, ties and dare.
        base: what the differences are taken from.
        template: chat template of the result; that of the other model's card, then of `ours`.
        progress: called with (tensors done, tensors in all, "tensors").

    Returns:
        `gap` between the base (or ours) and the first other, `tensors` and `new_rows`, the rows of
        `ours` that no other model has.

    Raises:
        BadUsage: a base is missing, several others where one is meant, or other architectures.
    """
    if settings.needs_base and base is None:
        raise BadUsage(f"{settings.method} takes differences from a base; name one")
    if settings.of_two and len(others) != 1:
        raise BadUsage(f"{settings.method} merges with one model; {len(others)} are given")
    same_shape([ours, *others, *([base] if base is not None else [])])
    with ExitStack() as stack:
        mine = stack.enter_context(Weights(ours))
        theirs = [stack.enter_context(Weights(folder)) for folder in others]
        start = stack.enter_context(Weights(base)) if base is not None else None
        found = _gap(start or mine, theirs[0])
        fresh(out)
        new_rows = _Merge(settings, mine, theirs, start).write(out, progress)
        tensors = len(mine.names)
    _finish(out, ours, others[0], template, settings)
    return {"gap": found, "tensors": tensors, "new_rows": new_rows}


def _finish(
    out: Path, ours: Path, other: Path, template: str | None, settings: MergeSettings
) -> None:
    mine, theirs = ModelFolder.read(ours), ModelFolder.read(other)
    copy_files(mine.root.path, out, (CONFIG, GENERATION))
    chosen = template if template not in (None, OWN) else taught(theirs)
    jinja = None
    if chosen == OWN and theirs.has_template:
        jinja = theirs.plain_tokenizer.get_chat_template()
    elif chosen == "plain":
        chosen = taught(mine)
    card = Card(
        template=chosen,
        vocabulary=mine.card.vocabulary,
        recipe={"merge": settings.model_dump(mode="json")},
    )
    hand_over(out, mine, card, jinja)


class _Merge:
    """The open models of a merge."""

    def __init__(
        self, settings: MergeSettings, ours: Weights, others: list[Weights], base: Weights | None
    ) -> None:
        self.settings, self.ours, self.others, self.base = settings, ours, others, base
        self.layers = int(ours.config.get_text_config().num_hidden_layers)
        self._models = models = [ours, *others, *([base] if base else [])]
        # float64 holds any difference of float32 exactly enough to add it back.
        narrow = all(model.get(model.tables.embed).dtype != torch.float32 for model in models)
        self.precision = torch.float32 if narrow else torch.float64
        self.rates = {
            layer % self.layers: rate
            for layer, rate in zip(settings.layers, settings.rates, strict=True)
        }

    def write(self, out: Path, progress: Progress | None) -> int:
        """Write every tensor; answers how many rows of ours only we have."""
        adapter = is_adapter(self.ours.folder)  # its sum with the base is in float32
        stored = stored_dtype(self.ours.config) if adapter else None
        writer, names = ShardWriter(out), self.ours.names
        alone = 0
        for done, name in enumerate(names, 1):
            whole = self.ours.get(name)
            if not _merged(name, self.ours, self._models[1:]):
                result = whole
            elif name in self.ours.tables:
                result, alone = self._table(name, whole)
            else:
                result = self._body(name, whole)
            writer.add(name, result.to(stored or whole.dtype))
            if progress:
                progress(done, len(names), mark("tensors"))
        writer.close()
        return alone

    def _wide(self, tensor: Tensor) -> Tensor:
        return tensor.to(self.precision)

    def _body(self, name: str, whole: Tensor) -> Tensor:
        if self.settings.method == "elchat":
            layer = _LAYER.search(name)
            rate = self.rates.get(int(layer[1])) if layer else None
            if rate is None:
                return whole
            ours, theirs = self._wide(whole), self._wide(self.others[0].get(name))
            return methods.slerp(ours, theirs, rate)
        tensors = [self._wide(model.get(name)) for model in self.others]
        base = None if self.base is None else self._wide(self.base.get(name))
        return self._merged(name, self._wide(whole), tensors, base)

    def _merged(self, name: str, ours: Tensor, others: list[Tensor], base: Tensor | None) -> Tensor:
        method, weight = self.settings.method, self.settings.weight
        if method == "linear":
            share = weight / len(others)
            return methods.linear([ours, *others], [1 - weight, *[share] * len(others)])
        if method == "slerp":
            return methods.slerp(ours, others[0], weight)
        assert base is not None, "checked before"
        if method in ("chat-vector", "shadow-ft"):
            return methods.add_difference(ours, others[0], base, weight)
        differences = [one - base for one in (ours, *others)]
        density = self.settings.density
        if method == "ties":
            return base + weight * methods.ties(differences, density)
        thinned = [
            methods.dare(one, density, self.settings.seed, f"{name} {number}")
            for number, one in enumerate(differences)
        ]
        return base + weight * sum(thinned, start=torch.zeros_like(base)) / len(thinned)

    def _table(self, name: str, whole: Tensor) -> tuple[Tensor, int]:
        """A table whose shared rows are merged, and how many rows are not shared."""
        models = [*self.others, *([self.base] if self.base else [])]
        aligned = [shared_rows(self.ours, model) for model in models]
        mine, places = _common(whole.shape[0], aligned)
        result = self._wide(whole).clone()
        method = self.settings.method
        if self.settings.tables == "shared" and method != "elchat":
            rows = [self._wide(m.get(name))[at] for m, at in zip(models, places, strict=True)]
            base = rows.pop() if self.base is not None else None
            result[mine] = self._merged(name, result[mine], rows, base)
        if self.settings.special == "chat" and method in ("chat-vector", "elchat"):
            # At weight 0 nothing is the chat model's, at 1 its control tokens are wholly.
            share = 1.0 if method == "elchat" else min(self.settings.weight, 1.0)
            chat, at = models[0], places[0]
            control = torch.isin(at, torch.tensor(chat.special, dtype=torch.long))
            theirs = self._wide(chat.get(name))[at[control]]
            ours = self._wide(whole)[mine[control]]
            result[mine[control]] = methods.linear([ours, theirs], [1 - share, share])
        return result, whole.shape[0] - len(mine)


def _common(size: int, aligned: list[tuple[Tensor, Tensor] | None]) -> tuple[Tensor, list[Tensor]]:
    """Rows of ours that every model has, and where each model has them."""
    mine = torch.arange(size)
    for rows in aligned:
        if rows is not None:
            mine = mine[torch.isin(mine, rows[0])]
    places = []
    for rows in aligned:
        if rows is None:
            places.append(mine)
        else:
            where = torch.full((size,), -1)
            where[rows[0]] = rows[1]
            places.append(where[mine])
    return mine, places
