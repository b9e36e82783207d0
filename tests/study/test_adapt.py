"""One model by a named recipe: settings, rows and the arithmetic that its stages hold."""

import json
from pathlib import Path
from typing import Any

import pytest

from kollama2.engine.graph import closure
from kollama2.engine.store import Store
from kollama2.errors import BadUsage
from kollama2.stages import Encode, ModelStage, Order, Train
from kollama2.stages.order import Knot
from kollama2.study import adapt
from kollama2.study.sample import sampled


@pytest.fixture
def data(tmp_path: Path) -> Path:
    file = tmp_path / "rows.json"
    rows = [
        {"instruction": f"물음 {n}", "input": "", "output": "가나다라 " * (1 + 99 * (n % 2))}
        for n in range(8)
    ]
    file.write_text(json.dumps(rows, ensure_ascii=False), encoding="utf-8")
    return file


def made(model: Path, data: Path, **more: Any) -> ModelStage:
    return adapt.adaptation(
        str(model), "kullm-lora", [str(data)], store=data.parent / "runs", **more
    )


def test_bfloat16_is_left_where_it_is_slow(
    tiny_model: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adapt, "fast_dtype", lambda device: "bfloat16")
    fast = made(tiny_model, data)
    monkeypatch.setattr(adapt, "fast_dtype", lambda device: "float32")
    slow, asked = made(tiny_model, data), made(tiny_model, data, given=["dtype=bfloat16"])
    dtypes = [adapt.arithmetic(one) for one in (fast, slow, asked)]
    assert dtypes == [["bfloat16"], ["float32"], ["bfloat16"]]
    assert isinstance(slow, Train)
    assert slow.settings.dtype == "float32"
    assert fast == asked != slow


def test_settings_and_rows_are_in_the_stages(tiny_model: Path, data: Path) -> None:
    stage = made(tiny_model, data, given=["max_length=64", "steps=3"], limit=5)
    assert isinstance(stage, Train)
    assert isinstance(stage.rows, Encode)
    assert (stage.rows.limit, stage.rows.max_length) == (5, 64)
    assert (stage.settings.steps, stage.settings.epochs) == (3, None)
    with pytest.raises(BadUsage, match="dpo-ko learns preferences"):
        adapt.adaptation(str(tiny_model), "dpo-ko", [], store=data.parent / "runs", limit=5)


def test_a_sample_finds_what_encoding_finds(tiny_model: Path, data: Path, tmp_path: Path) -> None:
    from kollama2.data.encode import encode

    for limit, cut in (None, 4), (5, 2):
        stage = made(tiny_model, data, given=["max_length=400"], limit=limit)
        (rows,) = (one for one in closure(stage).values() if isinstance(one, Encode))
        found = sampled(rows, Store(tmp_path / "runs"))
        assert found is not None
        real = encode(data, tiny_model, tmp_path / f"out-{limit}", template="kullm",
                      max_length=400, loss="all", limit=limit)  # fmt: skip
        assert real["counts"]["kept"] == real["counts"]["in"] == (limit or 8)
        expected = {name: real[name] for name in ("rows", "tokens", "bytes", "ko_bytes")}
        assert found == {**expected, "cut": cut}
        assert real["counts"]["answers cut"] == cut


def test_a_sample_of_a_curriculum_is_as_large_as_its_budget(
    tiny_model: Path, data: Path, tmp_path: Path
) -> None:
    stage = made(tiny_model, data)
    (rows,) = (one for one in closure(stage).values() if isinstance(one, Encode))
    knots = (Knot(at=0, shares=(0.5, 0.5)), Knot(at=1, shares=(1.0, 0.0)))
    other = rows.model_copy(update={"limit": 3})
    order = Order(names=("all", "few"), rows=(rows, other), knots=knots, korean_bytes=400)
    store = Store(tmp_path / "runs")
    one, few, found = (sampled(part, store) for part in (rows, other, order))
    assert one is not None and few is not None and found is not None
    assert found["ko_bytes"] == pytest.approx(400, rel=0.02)
    text = found["bytes"]
    expected = text * (0.75 * one["tokens"] / one["bytes"] + 0.25 * few["tokens"] / few["bytes"])
    assert found["tokens"] == pytest.approx(expected, rel=0.01)


def test_a_sample_without_a_tokenizer_is_none(tiny_model: Path, data: Path, tmp_path: Path) -> None:
    folder = tmp_path / "bare"
    folder.mkdir()
    (folder / "config.json").write_bytes((tiny_model / "config.json").read_bytes())
    stage = made(folder, data)
    (rows,) = (one for one in closure(stage).values() if isinstance(one, Encode))
    assert sampled(rows, Store(tmp_path / "runs")) is None
