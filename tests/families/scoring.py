"""Columns of losses: those of an evaluation, and of documents behind others."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional

from kollama2.engine.profile import Resources
from kollama2.evaluation.evaluate import evaluate as evaluate_suite
from kollama2.evaluation.suite import Suite
from kollama2.model.folder import ModelFolder
from kollama2.model.load import load_model
from kollama2.stages.evaluate import ModelEncoder
from kollama2.train.batches import Rows
from kollama2.train.forward import held_out_loss
from tests.families.family import (
    KOREAN,
    Family,
    encoder,
    logits,
    plain_model,
    plain_tokenizer,
)
from tests.train.conftest import write_rows


def evaluate(family: Family) -> None:
    """Bits per byte and margins of choices are those of transformers' own logits."""
    folder, place = family.base, family.place / "evaluated"
    place.mkdir()
    asked = [{"messages": [{"role": "user", "content": line}]} for line in KOREAN[:3]]
    choices = [{**one, "choices": ["사과", "배나무"], "gold": 1, "known_in": "ko"} for one in asked]
    tasks = [
        _task(place, "text", "bits_per_byte", [{"text": line} for line in KOREAN[:3]]),
        _task(place, "facts", "multiple_choice", choices),
        {**_task(place, "answers", "generation", asked), "max_new_tokens": 8},
    ]
    suite = Suite.model_validate({"name": "small", "primary": "text/bpb", "tasks": tasks})
    whole = ModelFolder.read(folder)
    chats = ModelEncoder(whole.tokenizer, whole.encoder())
    found = evaluate_suite(
        suite,
        model=load_model(folder, device="cpu"),
        encoder=chats,
        out=place,
        resources=Resources(device="cpu"),
        progress=lambda *_, **__: None,
    )
    model = plain_model(folder)
    bits = sum(_bits(model, *_begun(folder, line)) for line in KOREAN[:3])
    size = sum(map(_size, KOREAN[:3]))
    assert found["scores"]["text/bpb"] == pytest.approx(bits / size, rel=1e-4)
    margins = []
    for one in choices:
        before = [*chats.prompt(one["messages"]), *chats.lead]
        for choice, sign in zip(one["choices"], (1, -1), strict=True):
            ids, said = chats.answer(choice), {"role": "assistant", "content": choice}
            trained = whole.encoder().encode([*one["messages"], said]).ids
            assert [*before, *ids] == trained[: len(before) + len(ids)]
            margins.append(sign * _bits(model, before, ids) / _size(choice))
    assert found["scores"]["facts/margin"] == pytest.approx(sum(margins) / 3, rel=1e-3, abs=1e-4)
    assert found["counts"]["answers"]["items"] == 3


def _begun(folder: Path, text: str) -> tuple[list[int], list[int]]:
    """What a text follows by transformers, BOS or without one EOS, and its ids."""
    tokenizer = plain_tokenizer(folder)
    ids = tokenizer(text, add_special_tokens=False).input_ids
    before = tokenizer(text).input_ids[: -len(ids)]
    return before or [tokenizer.eos_token_id], ids


def _bits(model: Any, before: list[int], ids: list[int]) -> float:
    """Bits of ids behind others."""
    rows = logits(model, [*before, *ids])[len(before) - 1 : -1]
    nats = functional.cross_entropy(rows, torch.tensor(ids), reduction="sum")
    return float(nats) / math.log(2)


def _size(text: str) -> int:
    return len(text.encode())


def _task(place: Path, name: str, kind: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    path = place / f"{name}.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return {"name": name, "measure_kind": kind, "data": str(path)}


def packed(family: Family) -> None:
    """A document's loss behind another one is its loss alone, by transformers, to 1e-5."""
    texts = [encoder(family.base).text(line).ids for line in KOREAN[:4]]
    first, other, *chosen = sorted(texts, key=len, reverse=True)
    model = load_model(family.base, device="cpu")
    alone = plain_model(family.base)
    for number, ids in enumerate(chosen):
        score = functional.cross_entropy(logits(alone, ids)[:-1], torch.tensor(ids[1:]))
        for before in (first, other):
            place = family.place / f"packed-{number}-{len(before)}"
            masked = [[-100] * len(before), ids]
            rows = Rows(write_rows(place, [list(before), ids], masked))
            assert held_out_loss(model, rows) == pytest.approx(float(score), abs=1e-5)
