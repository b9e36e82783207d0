"""How curricula are drawn, and when the schedule does not suit them."""

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from kollama2.api.compute import compute, machine, once, under, warn
from kollama2.api.mixtures import drawings, encoded, fading
from kollama2.cli.console import talk
from kollama2.cli.display import Display
from kollama2.data.curriculum import curriculum, preview
from kollama2.engine.graph import plan
from kollama2.engine.store import Store
from kollama2.stages import Encode, Order, Source, Train
from kollama2.stages.encode import MixturePart
from kollama2.stages.order import Knot
from kollama2.train.settings import TrainSettings
from tests.chat_folders import write_folder

MODEL = Source(what="model", uri="builtin:miniature")
ROWS = Encode(
    data=(MixturePart(source=Source(what="data", uri="builtin:miniature/text-ko")),),
    tokenizer=MODEL,
)


def order(**changes: object) -> Order:
    knots = (Knot(at=0, shares=(1, 0)), Knot(at=1, shares=(0, 1)))
    fields = {"names": ("pairs", "ko"), "rows": (ROWS, ROWS), "knots": knots, "bytes": 1000}
    return Order.model_validate({**fields, **changes})


def train(rows: Order, schedule: str) -> Train:
    settings = TrainSettings.model_validate({"steps": 1, "schedule": schedule})
    return Train(kind="pretrain", model=MODEL, rows=rows, settings=settings)


def test_the_mixture_is_drawn_from_left_to_right() -> None:
    stages = [order(), order(seed=1), order(order="reverse"), order(order="shuffled"), ROWS]
    tables = list(drawings(stages))
    assert [table.title for table in tables] == ["forward", "reverse"]
    stream = io.StringIO()
    Console(file=stream, width=80).print(tables[0])
    lines = [line for line in stream.getvalue().splitlines() if "█" in line]
    pairs, ko = (line.split("│")[2].strip() for line in lines)
    assert pairs[0] == ko[-1] == "█"
    assert pairs.index("▄") > 10
    assert all("50%" in line for line in lines)


def test_the_preview_adds_up_to_the_totals() -> None:
    plan = curriculum([{"at": 0, "a": 1}, {"at": 0.5, "a": 0.5, "b": 0.5}, {"at": 1, "b": 1}])
    for name in ("forward", "reverse", "shuffled", "warmup10", "anneal-last"):
        mixture = preview(plan, name)  # type: ignore[arg-type]
        assert abs(mixture.mean(axis=0) - plan.totals()).max() < 0.01


def test_a_decaying_rate_with_ordered_rows_warns() -> None:
    assert fading([train(order(), "wsd"), train(order(order="shuffled"), "cosine")]) == []
    said = fading([train(order(), "cosine"), train(order(seed=1), "cosine")])
    assert len(said) == 1
    assert said[0].startswith("forward data with a cosine schedule")


def test_what_was_said_is_not_said_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "ko.txt"
    file.write_text("가나다\n" * 10, encoding="utf-8")
    source = Source(what="data", uri="file:ko.txt", sha256="0", form="text").at(file)
    rows = Encode(data=(MixturePart(source=source),), tokenizer=MODEL, template="plain")
    settings = TrainSettings(bytes=1000)
    stage = Train(kind="pretrain", model=MODEL, rows=rows, settings=settings)
    todo = plan([stage], Store(tmp_path / "runs"))
    with Display(talk()) as display:
        tell = once(display)
        warn(todo, Store(tmp_path / "runs"), tell)
        said = " ".join(capsys.readouterr().err.split())
        assert said.startswith("warning: ")
        assert "at least 10.0 epochs" in said
        warn(todo, Store(tmp_path / "runs"), tell)
    assert capsys.readouterr().err == ""


def test_rows_left_out_and_templates_not_meant_are_told(tmp_path: Path) -> None:
    good, bad = {"instruction": "a", "output": "b"}, {"instruction": "a"}
    file = tmp_path / "rows.json"
    file.write_text(json.dumps([good, bad, bad]), encoding="utf-8")
    source = Source(what="data", uri="file:rows.json", form="alpaca").at(file)
    base = write_folder(tmp_path / "base", "llama", template=None)
    model = Source(what="model", uri="file:base").at(base)
    rows = Encode(
        data=(MixturePart(source=source),), tokenizer=model, template="own", max_length=64
    )
    store = Store(tmp_path / "runs")
    assert encoded([rows], store) == []
    compute([rows], tmp_path / "runs", machine(None), under("encode"))
    first, last = encoded([rows], store)
    assert first.startswith("rows.json: 2 of 3 rows rejected (2 x ")
    assert last.startswith("the base has no chat template, so llama2 takes its place")
