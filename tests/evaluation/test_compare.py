import json
from pathlib import Path

import pytest

from kollama2.engine.commit import seal, write_json
from kollama2.errors import BadData, Corrupt, Missing
from kollama2.evaluation.compare import compare
from kollama2.evaluation.contrast import load_measured, load_metrics
from kollama2.evaluation.statistics import RESAMPLES
from kollama2.records.done import Done, Evaluation
from kollama2.records.items import Item, write_lines
from kollama2.records.measures import Measure


def finished(folder: Path, items: list[Item], metrics: Evaluation) -> Path:
    """A finished evaluation."""
    folder.mkdir()
    write_lines(folder / "items.jsonl", items)
    record = Done(name="evaluate-1", kind="evaluate", key="1", metrics=metrics.plain(), seconds=1)
    write_json(folder / "done.json", record.plain())
    seal(folder)
    return folder


def evaluated(folder: Path, shift: float, suite: str = "abc", extra: bool = False) -> Path:
    items = [
        Item(task=task, measure="bpb", item=str(i), cluster=str(i), value=i % 5 + 1 + shift,
             weight=1)
        for task in (("text", "more") if extra else ("text",))
        for i in range(40)
    ]  # fmt: skip
    return finished(folder, items, Evaluation(suite=suite, scores={"text/bpb": 3 + shift}))


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


def declared(folder: Path, name: str, values: list[float], higher: bool | None) -> Path:
    """An evaluation of one measure, which says whether more of it is better."""
    task, _, short = name.partition("/")
    items = [
        Item(task=task, measure=short, item=str(i), cluster=str(i), value=value, weight=1)
        for i, value in enumerate(values)
    ]
    about = {name: Measure(short, "", higher)}
    return finished(folder, items, Evaluation(suite="abc", scores={}, measures=about))


@pytest.mark.parametrize(("higher", "best"), [(True, "more"), (False, "less")])
def test_the_recorded_direction_ranks_whatever_the_name(
    tmp_path: Path, higher: bool, best: str
) -> None:
    models = {
        name: declared(tmp_path / name, "t/perplexity", [i + plus for i in range(20)], higher)
        for name, plus in (("less", 0.0), ("more", 9.0))
    }
    found = compare(models, primary="t/perplexity")
    assert found.comparisons["t/perplexity"].standings[0].name == best
    assert found.measures["t/perplexity"].higher is higher


def test_nothing_is_ranked_in_no_direction(tmp_path: Path) -> None:
    models = {name: declared(tmp_path / name, "t/unheard", [1.0, 2.0], None) for name in ("a", "b")}
    found = compare(models, primary="t/acc")
    assert (found.comparisons, found.undirected) == ({}, ("t/unheard",))
    with pytest.raises(BadData, match=r"t/unheard is better; say higher_is_better"):
        compare(models, primary="t/unheard")
    odd = {**models, "c": declared(tmp_path / "c", "t/unheard", [1.0, 2.0], True)}
    with pytest.raises(BadData, match=r"\(a: unknown, b: unknown, c: higher\)"):
        compare(odd, primary="t/acc")


def test_different_suites_are_not_compared(tmp_path: Path) -> None:
    models = {"a": evaluated(tmp_path / "a", 0), "b": evaluated(tmp_path / "b", 0, suite="xyz")}
    with pytest.raises(BadData, match=r"different suites \(a: abc, b: xyz\)"):
        compare(models, primary="text/bpb")


def test_a_folder_that_was_not_evaluated_is_said(tmp_path: Path) -> None:
    with pytest.raises(BadData, match=r"no finished evaluation: done.json"):
        compare({"a": tmp_path}, primary="text/bpb")


@pytest.mark.parametrize("file", ["items.jsonl", "done.json", "MANIFEST.json"])
def test_a_changed_evaluation_is_not_compared(tmp_path: Path, file: str) -> None:
    models = {name: evaluated(tmp_path / name, shift) for name, shift in (("a", 0), ("b", 0.5))}
    path = models["b"] / file
    content = path.read_bytes()
    path.write_bytes(content.replace(b"3", b"4", 1))
    with pytest.raises(Corrupt, match=rf"; remove the folder {models['b']} and run"):
        compare(models, primary="text/bpb")
    path.write_bytes((models["a"] / file).read_bytes())  # a swapped file is of the same size
    with pytest.raises(Corrupt, match=rf"; remove the folder {models['b']} and run"):
        compare(models, primary="text/bpb")
    path.write_bytes(content)
    assert compare(models, primary="text/bpb").base == "a"


def test_an_evaluation_of_a_newer_version_names_both(tmp_path: Path) -> None:
    models = {name: evaluated(tmp_path / name, 0) for name in ("a", "b")}
    done = models["b"] / "done.json"
    record = {**json.loads(done.read_text()), "kollama2": "10.2.0", "metrics": {"suite": "abc"}}
    write_json(done, record)
    seal(models["b"])
    with pytest.raises(Missing, match=r"written by kollama2 10\.2\.0 .* it has no field 'scores'"):
        compare(models, primary="text/bpb")


def test_metrics_are_read_without_the_items(tmp_path: Path) -> None:
    folder = evaluated(tmp_path / "a", 0.5)
    (folder / "items.jsonl").write_text("{}")
    assert load_metrics(folder).scores == {"text/bpb": 3.5}
    with pytest.raises(Corrupt, match=r"items.jsonl does not have the \d+ bytes"):
        load_measured(folder)
    (folder / "items.jsonl").unlink()
    with pytest.raises(BadData, match="is no finished evaluation"):
        load_metrics(folder)
