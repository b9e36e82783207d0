import json
from pathlib import Path

import pytest

from kollama2.errors import BadData
from kollama2.evaluation.compare import compare
from kollama2.evaluation.statistics import RESAMPLES


def evaluated(folder: Path, shift: float, suite: str = "abc", extra: bool = False) -> Path:
    folder.mkdir()
    lines = [
        {"task": task, "measure": "bpb", "item": str(i), "cluster": str(i),
         "value": i % 5 + 1 + shift, "weight": 1}
        for task in (("text", "more") if extra else ("text",))
        for i in range(40)
    ]  # fmt: skip
    (folder / "items.jsonl").write_text("".join(json.dumps(one) + "\n" for one in lines))
    metrics = {"suite": suite, "scores": {"text/bpb": 3 + shift}, "counts": {}, "flags": {}}
    (folder / "done.json").write_text(json.dumps({"metrics": metrics}))
    return folder


def test_models_are_compared_with_the_first_on_what_they_share(tmp_path: Path) -> None:
    models = {
        "base": evaluated(tmp_path / "a", 0, extra=True),
        "copy": evaluated(tmp_path / "b", 0),
        "better": evaluated(tmp_path / "c", -0.5),
    }
    found = compare(models, primary="text/bpb")
    assert (found.base, list(found.comparisons)) == ("base", ["text/bpb"])
    ranked = found.comparisons["text/bpb"]
    assert ranked.standings[0].name == "better"
    assert ranked["better"].versus_base.value == pytest.approx(-0.5)  # type: ignore[union-attr]
    assert ranked["base"].tier == ranked["copy"].tier == "b"
    assert ranked.uncertainty == "items only"
    json.dumps(found.to_json())


def test_a_measure_compares_the_models_that_have_it(tmp_path: Path) -> None:
    models = {
        "base": evaluated(tmp_path / "a", 0, extra=True),
        "answers-only": evaluated(tmp_path / "b", 0),
        "better": evaluated(tmp_path / "c", -0.5, extra=True),
    }
    found = compare(models, primary="more/bpb")
    assert list(found.comparisons) == ["more/bpb", "text/bpb"]
    assert [one.name for one in found.comparisons["more/bpb"].standings] == ["better", "base"]
    assert found.comparisons["more/bpb"].resamples == RESAMPLES
    assert len(found.comparisons["text/bpb"].standings) == 3


def test_different_suites_are_not_compared(tmp_path: Path) -> None:
    models = {"a": evaluated(tmp_path / "a", 0), "b": evaluated(tmp_path / "b", 0, suite="xyz")}
    with pytest.raises(BadData, match=r"different suites \(a: abc, b: xyz\)"):
        compare(models, primary="text/bpb")


def test_a_folder_that_was_not_evaluated_is_said(tmp_path: Path) -> None:
    with pytest.raises(BadData, match=r"no finished evaluation: done.json"):
        compare({"a": tmp_path}, primary="text/bpb")
