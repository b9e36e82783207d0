"""A budget larger than its corpus: said before training, with how often the rows come."""

import json
from pathlib import Path
from typing import Any

from kollama2.engine.stage import Stage
from kollama2.engine.store import Store
from kollama2.records.done import Done
from kollama2.stages import Derive, Encode, Order, Source, Train
from kollama2.stages.encode import MixturePart
from kollama2.stages.order import Knot
from kollama2.study.repeats import repeats
from kollama2.train.settings import TrainSettings

MODEL = Source(what="model", uri="builtin:miniature")


class Known(Store):
    """A store that has counted some rows."""

    def __init__(self, root: Path, known: dict[str, dict[str, Any]]) -> None:
        super().__init__(root)
        self.known = known

    def record(self, stage: Stage) -> Done | None:
        metrics = self.known.get(stage.name)
        if metrics is None:
            return None
        return Done(name=stage.name, kind=stage.kind, key=stage.key, metrics=metrics, seconds=1)


def rows(tmp_path: Path, name: str, size: int) -> Encode:
    file = tmp_path / name
    file.write_text("가" * (size // 3), encoding="utf-8")
    source = Source(what="data", uri=f"file:{name}", sha256="0", form="text").at(file)
    return Encode(data=(MixturePart(source=source),), tokenizer=MODEL, template="plain")


def train(rows: Encode | Order, **settings: Any) -> Train:
    return Train(kind="pretrain", model=MODEL, rows=rows, settings=TrainSettings(**settings))


def test_a_file_is_an_upper_bound(tmp_path: Path) -> None:
    data, store = rows(tmp_path, "ko.txt", 30_000), Store(tmp_path / "runs")
    assert repeats([train(data, bytes=30_000), train(data, epochs=9), data], store) == []
    assert repeats([train(data, bytes=75_000)], store) == [
        "file:ko.txt: 75 KB of text are wanted and at most 30 KB are there; at least 2.5 epochs"
    ]


def test_encoded_rows_are_exact(tmp_path: Path) -> None:
    data = rows(tmp_path, "ko.txt", 30_000)
    store = Known(tmp_path / "runs", {data.name: {"bytes": 24_000, "ko_bytes": 12_000}})
    # The same data at two budgets: one sentence each; two seeds of one: a single one.
    stages = [train(data, korean_bytes=60_000, seed=seed) for seed in (0, 1)]
    assert repeats([*stages, train(data, bytes=25_000)], store) == [
        "file:ko.txt: 25 KB of text are wanted and 24 KB are there; about 1.0 epochs",
        "file:ko.txt: 60 KB of Hangul are wanted and 12 KB are there; about 5.0 epochs",
    ]


def test_each_source_of_a_curriculum(tmp_path: Path) -> None:
    both = (rows(tmp_path, "ko.txt", 90_000), rows(tmp_path, "en.txt", 3_000))
    order = Order(
        names=("ko", "en"),
        rows=both,
        knots=(Knot(at=0, shares=(0.8, 0.2)), Knot(at=1, shares=(0.8, 0.2))),
        bytes=100_000,
    )
    assert repeats([train(order, epochs=1)], Store(tmp_path / "runs")) == [
        "file:en.txt: 20 KB of text are wanted and at most 3 KB are there; at least 6.7 epochs"
    ]


def test_of_what_lies_elsewhere_nothing_is_said(tmp_path: Path) -> None:
    source = Source(what="data", uri="hf:a/b", revision="0" * 40)
    data = Encode(data=(MixturePart(source=source),), tokenizer=MODEL)
    packed = tmp_path / "ko.jsonl.gz"
    packed.write_bytes(json.dumps({}).encode())
    zipped = Source(what="data", uri="file:ko.jsonl.gz", sha256="0").at(packed)
    more = Encode(data=(MixturePart(source=zipped),), tokenizer=MODEL)
    stages = [train(data, bytes=10**12), train(more, bytes=10**12)]
    assert repeats(stages, Store(tmp_path / "runs")) == []


def test_of_pairs_nothing_is_said_before_they_are_read(tmp_path: Path) -> None:
    file = tmp_path / "news.ko"
    file.write_text("가", encoding="utf-8")
    pairs = Source(what="data", uri="file:news.ko", sha256="0", form="pairs").at(file)
    made = Derive(make="translations", pairs=pairs)
    stages = [
        train(Encode(data=(MixturePart(source=one),), tokenizer=MODEL), bytes=10**9)
        for one in (pairs, made)
    ]
    assert repeats(stages, Store(tmp_path / "runs")) == []
