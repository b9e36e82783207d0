"""Preferences as a stage: every row is a pair or has its reason, none is too long."""

import json
from pathlib import Path
from typing import Any

import pytest

from kollama2.api.mixtures import encoded
from kollama2.engine import graph
from kollama2.engine.store import Store
from kollama2.stages import Prefer, Source
from kollama2.train import prefer as tuning
from kollama2.train.preference_settings import PreferSettings

SHORT = {"prompt": "수도는?", "chosen": "서울", "rejected": "Seoul"}
FIRST = [{"role": "user", "content": "수도는?"}, {"role": "assistant", "content": "서울"}]
CHAT = [*FIRST, {"role": "user", "content": "강은?"}]


def stage(folder: Path, model: Path, *rows: object, max_length: int = 120) -> Prefer:
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    (folder / "pairs.jsonl").write_text(text, encoding="utf-8")
    return Prefer(
        model=Source(what="model", uri="file:tiny").at(model),
        data=Source(what="data", uri="file:pairs.jsonl").at(folder / "pairs.jsonl"),
        settings=PreferSettings(steps=1, batch=1, rank=2, max_length=max_length),
    )


@pytest.fixture
def learned(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What reaches the tuning."""
    kept = list[Any]()
    real = tuning.prefer

    def spy(settings: Any, pairs: Any, **more: Any) -> Any:
        kept.extend(pairs)
        return real(settings, pairs, **more)

    monkeypatch.setattr(tuning, "prefer", spy)
    return kept


def test_every_row_is_a_pair_or_has_its_reason(
    tmp_path: Path, tiny_model: Path, learned: list[Any]
) -> None:
    chat = {"chosen": [*CHAT, FIRST[1]], "rejected": [*CHAT, {**FIRST[1], "content": "Han"}]}
    long = {**SHORT, "prompt": "수도는? " * 50}
    silent = {**SHORT, "chosen": "서울 " * 200}
    same = {**SHORT, "rejected": "서울"}
    tools = {**SHORT, "tools": [{"name": "f"}]}
    made = stage(tmp_path, tiny_model, SHORT, chat, long, silent, same, tools)
    store = Store(tmp_path / "runs")
    assert graph.run([made], store, graph.inline(store)).failed == {}
    metrics = store.record(made).metrics  # type: ignore[union-attr]
    assert metrics["counts"] == {"in": 6, "kept": 3, "rejected": 3, "prompts cut": 1}
    assert metrics["reasons"] == {
        "an answer leaves no room for its prompt in 120 tokens": 1,
        "the chosen and the rejected answer are the same": 1,
        "the template llama2 has no form for tools": 1,
    }
    lines = (store.path(made) / "rejected.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["line"] for line in lines] == [4, 5, 6]
    sizes = [
        len(one["prompt_ids"]) + max(len(one["chosen_ids"]), len(one["rejected_ids"]))
        for one in learned
    ]
    assert sizes[2] == 120
    assert max(sizes) == 120
    # The whole chat is the prompt, and a prompt that is cut still begins with BOS.
    assert learned[1]["prompt_ids"].count(1) == 2
    assert [one["prompt_ids"][0] for one in learned] == [1, 1, 1]
    said = encoded([made], store)
    assert said[0].startswith("pairs.jsonl: 3 of 6 rows rejected (1 x an answer leaves no room")
    assert said[1].startswith("pairs.jsonl: prompts of 1 row are cut from the left")


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ({**SHORT, "chosen": "서울 " * 200}, "1 x an answer leaves no room for its prompt in 120"),
        ({"prompt": "a", "completion": "b"}, "has no columns of the form preference"),
    ],
)
def test_no_pair_is_left(tmp_path: Path, tiny_model: Path, row: object, says: str) -> None:
    store = Store(tmp_path / "runs")
    made = stage(tmp_path, tiny_model, row)
    outcome = graph.run([made], store, graph.inline(store))
    (sentence,) = outcome.failed.values()
    assert says in sentence
    assert outcome.exit_code == 65
