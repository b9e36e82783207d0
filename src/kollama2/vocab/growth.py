"""Growth: a model folder and its changed tokenizer give a larger or smaller model folder."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any
from unicodedata import normalize

import torch

from kollama2.model.card import Vocabulary, read_card
from kollama2.model.grow import gather, grow, tables, weights_hash
from kollama2.model.load import whole
from kollama2.model.tokenizer import load_tokenizer, tokenizer_size
from kollama2.model.write import write_grown
from kollama2.vocab import embed
from kollama2.vocab.align import Aligned, aligned, alignments
from kollama2.vocab.distill import distill
from kollama2.vocab.expand import EXPANSION
from kollama2.vocab.prune import PRUNING
from kollama2.vocab.runtimes import runtimes
from kollama2.vocab.settings import InitSettings


def grow_model(
    model: Path,
    tokenizer: Path,
    out: Path,
    settings: InitSettings,
    texts: Iterable[str] | None,
    *,
    device: str,
    progress: Callable[..., None],
) -> Mapping[str, Any]:
    """Write a model with rows for the new pieces of a tokenizer.

    Args:
        model: the model folder to start from.
        tokenizer: the folder that `expand` wrote for the model's tokenizer.
        out: the folder to write.
        settings: how the new rows begin.
        texts: for the inits that read text.
        device: where to distil.
        progress: called by distillation.

    Returns:
        Counts of new and of equal rows, and what a distillation cost.
    """
    grown = json.loads((tokenizer / EXPANSION).read_text(encoding="utf-8"))
    first, ids = grown["first"], grown["ids"]
    network = whole(model, "float32").eval()
    network.requires_grad_(False)
    inputs, outputs = tables(network)
    pairs = _pairs(model, tokenizer, texts or (), settings.text)
    rows = embed.start(
        inputs[:first],
        None if outputs is None else outputs[:first],
        grown["old"],
        grown["bare"],
        settings,
        alignments(pairs, ids) if settings.init == "align" else None,
    )
    figures: dict[str, Any] = {"new": len(ids)}
    if settings.init == "distill":
        if device == "cuda" or (device == "auto" and torch.cuda.is_available()):
            network.cuda()
        bos = load_tokenizer(tokenizer).bos_id
        found = distill(network, ids, rows, pairs, bos, settings, progress)
        rows = found.rows
        # Forward for teacher and pupil, and backward through the body to the embeddings: 6N for the
        # pupil's half and 2N for the teacher's are at most 6N for each token.
        figures |= {
            "tokens": found.tokens,
            "flops": 6 * network.num_parameters() * found.tokens,
            "error_start": found.first,
            "error_end": found.last,
        }
    base, before = weights_hash(model), read_card(model).vocabulary
    grow(network, first, ids, rows.embed, rows.head, tokenizer_size(tokenizer))
    vocabulary = Vocabulary(
        **{name: grown[name] for name in ("procedure", "first", "new", "reserve", "size")},
        keep=() if before is None else before.keep,
        init=settings.model_dump(mode="json"),
        base=base,
    )
    write_grown(network, out, source=model, tokenizer=tokenizer, vocabulary=vocabulary)
    figures["equal_rows"] = embed.collisions(rows.embed)
    if rows.head is not None:
        figures["equal_head_rows"] = embed.collisions(rows.head)
    return figures


def prune_model(model: Path, tokenizer: Path, out: Path) -> Mapping[str, Any]:
    """Write a model with the rows that a pruned tokenizer still has tokens for.

    Args:
        model: the model folder to start from.
        tokenizer: the folder that `prune` wrote for the model's tokenizer.
        out: the folder to write.

    Returns:
        Counts of rows.
    """
    pruned = json.loads((tokenizer / PRUNING).read_text(encoding="utf-8"))
    kept, network = pruned["kept"], whole(model, "float32")
    rows = tables(network)[0].shape[0]
    gather(network, kept)
    size, before = len(kept), read_card(model).vocabulary
    if before is None:
        before = Vocabulary(procedure="prune", first=size, new=0, size=size, trained=True)
    first = sum(i < before.first for i in kept)
    change = {"first": first, "new": min(before.new, size - first), "reserve": 0, "size": size}
    vocabulary = before.model_copy(update={**change, "keep": tuple(pruned["keep"]), "base": None})
    ids = {old: new for new, old in enumerate(kept)}
    write_grown(network, out, source=model, tokenizer=tokenizer, vocabulary=vocabulary, ids=ids)
    return {"rows": size, "removed": rows - size}


def _pairs(model: Path, tokenizer: Path, texts: Iterable[str], size: int) -> list[Aligned]:
    lines = list(_lines(texts, size))
    return aligned(runtimes(model), runtimes(tokenizer), lines) if lines else []


def _lines(texts: Iterable[str], size: int) -> Iterator[str]:
    """Lines up to so many bytes."""
    for text in texts:
        for line in normalize("NFC", text).splitlines():
            if line.strip():
                yield line
                size -= len(line.encode())
        if size <= 0:
            return
