"""Negative controls: what must lose loses, what must tie ties, what is no ability is flagged.

They run through the whole evaluation on the miniature's base, a real model that knows English, so a
measure that could be won by a label prior, by letter counts or by a model's name fails here.
"""

import json
import random
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from kollama2.engine.profile import Resources
from kollama2.evaluation.contamination import contamination
from kollama2.evaluation.evaluate import evaluate
from kollama2.evaluation.rows import read_rows
from kollama2.evaluation.statistics import Comparison, family
from kollama2.evaluation.suite import Suite
from kollama2.miniature import base, corpora
from kollama2.model.chat import TextEncoder
from kollama2.model.load import load_model
from kollama2.model.tokenizer import load_tokenizer
from kollama2.records.items import Items, load_items
from kollama2.stages.evaluate import ModelEncoder

TEXTS, QUESTIONS = 24, 40
Records = dict[str, Items]


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Suite:
    """English text, the same text with its bytes shuffled, and facts asked in English."""
    folder = tmp_path_factory.mktemp("suite")
    corpora.write("suite/text-en", folder / "en", seed=0, size=None)
    corpora.write("suite/facts-en", folder / "facts", seed=0, size=None)
    rows = [json.loads(line) for line in _lines(folder / "en")[:TEXTS]]
    shuffled = [{**row, "text": _shuffled(row["text"])} for row in rows]
    facts = [json.loads(line) for line in _lines(folder / "facts")]
    labels = [
        {"id": f"label-{at}", "question": one["text"], "choices": ["yes", "no"], "gold": at % 2}
        for at, one in enumerate(rows)
    ]
    tasks = [
        ("text", "bits_per_byte", rows),
        ("shuffled", "bits_per_byte", shuffled),
        ("facts", "multiple_choice", facts[:QUESTIONS]),
        ("labels", "multiple_choice", labels),
    ]
    for name, _, content in tasks:
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in content)
        (folder / f"{name}.jsonl").write_text(text, encoding="utf-8")
    return Suite.model_validate(
        {
            "name": "controls",
            "primary": "text/bpb",
            "tasks": [
                {"name": name, "measure_kind": kind, "data": str(folder / f"{name}.jsonl")}
                for name, kind, _ in tasks
            ],
        }
    )


def _lines(folder: Path) -> list[str]:
    return next(folder.rglob("*.jsonl")).read_text(encoding="utf-8").splitlines()


def _shuffled(text: str) -> str:
    """The same bytes (all ASCII) in another order: what letter counts know stays the same."""
    letters = list(text.encode("ascii", "replace").decode())
    random.Random(text).shuffle(letters)
    return "".join(letters)


@pytest.fixture(scope="module")
def measured(
    suite: Suite, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, tuple[Records, Any]]:
    """Records and metrics of the base, of a copy of it, and of letter counts of the test itself."""
    tokenizer = load_tokenizer(base.FOLDER)
    encoder = ModelEncoder(tokenizer, TextEncoder(tokenizer, "plain"))
    texts = [row["text"] for row in read_rows(suite.tasks[0])]
    model = load_model(base.FOLDER)
    copy = load_model(base.FOLDER)
    # The unigram model may even count the test: without context it must lose all the same.
    unigram = _unigram(model, [one for text in texts for one in encoder.encode(text)])
    found = {}
    for name, one in {"base": model, "copy": copy, "unigram": unigram}.items():
        out = tmp_path_factory.mktemp(name)
        metrics = evaluate(
            suite,
            model=one,
            encoder=encoder,
            out=out,
            resources=Resources(),
            progress=lambda done, total, unit, **figures: None,
        )
        found[name] = load_items(out / "items.jsonl"), metrics
    return found


def _unigram(like: Any, ids: list[int]) -> nn.Module:
    """Gives every next token the frequency that it has in `ids`, whatever came before."""
    counts = torch.bincount(torch.tensor(ids), minlength=like.config.vocab_size) + 0.01
    model = load_model(base.FOLDER)
    head = nn.Linear(like.config.hidden_size, like.config.vocab_size)
    with torch.no_grad():
        head.weight.zero_()
        head.bias.copy_((counts / counts.sum()).log())
    model.set_output_embeddings(head)
    return model


def compared(measured: dict[str, tuple[Records, Any]], measure: str, higher: bool) -> Comparison:
    records = {name: [items[measure]] for name, (items, _) in measured.items()}
    return family(records, "base", higher)


def test_a_copy_of_the_base_ties_with_it(measured: dict[str, tuple[Records, Any]]) -> None:
    for measure, higher in (("text/bpb", False), ("facts/p_gold", True)):
        found = compared(measured, measure, higher)
        versus = found["copy"].versus_base
        assert versus is not None
        assert (versus.value, versus.low, versus.high) == (0, 0, 0)
        assert not versus.separable
        assert found["copy"].tier == found["base"].tier


def test_a_unigram_model_loses(measured: dict[str, tuple[Records, Any]]) -> None:
    found = compared(measured, "text/bpb", False)
    versus = found["unigram"].versus_base
    assert versus is not None
    assert versus.separable
    assert versus.low > 0.5
    assert found["unigram"].tier not in found["base"].tier


def test_shuffled_bytes_are_worse_for_whoever_knows_the_language(
    measured: dict[str, tuple[Records, Any]],
) -> None:
    items = measured["base"][0]
    pair = {"text": [items["text/bpb"]], "shuffled": [items["shuffled/bpb"]]}
    versus = family(pair, "text", False)["shuffled"].versus_base
    assert versus is not None
    assert versus.separable
    assert versus.low > 2


def test_a_constant_label_is_flagged_and_no_better_than_chance(
    measured: dict[str, tuple[Records, Any]],
) -> None:
    items, metrics = measured["unigram"]
    assert metrics["scores"]["labels/accuracy"] == 0.5
    assert "degenerate: 100% of answers are" in metrics["flags"]["labels"][0]
    place = family({"unigram": [items["labels/accuracy"]]}, "unigram", True)["unigram"]
    assert place.low < 0.5 < place.high


def test_the_base_knows_more_than_chance(measured: dict[str, tuple[Records, Any]]) -> None:
    """Else the controls above would say nothing: the suite must see what a model knows."""
    assert measured["base"][1]["scores"]["text/bpb"] < 1.5


def test_data_that_hold_the_test_are_flagged(suite: Suite) -> None:
    rows = {task.name: read_rows(task) for task in suite.tasks[:1]}
    test = [row["text"] for row in rows["text"]]
    train = (base.FOLDER / "README.md").read_text(encoding="utf-8")
    clean = contamination(rows, [train]).counts()["text"]
    assert clean == {"items": TEXTS, "judged": TEXTS, "flagged": 0}
    half = contamination(rows, [train, *test[::2]]).counts()["text"]
    assert half["flagged"] == TEXTS // 2
