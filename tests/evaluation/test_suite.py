import hashlib
import shutil
from pathlib import Path

import pytest
import yaml

from kollama2.errors import BadUsage
from kollama2.evaluation.kinds import BitsPerByte
from kollama2.evaluation.suite import Suite, load_suite, shipped
from kollama2.records.measures import MEASURES, measure


def suite(path: Path, **task: object) -> Suite:
    return Suite.model_validate(
        {
            "name": "small",
            "primary": "text/bpb",
            "tasks": [
                {"name": "text", "measure_kind": "bits_per_byte", "data": str(path), **task},
                {"name": "talk", "measure_kind": "generation", "data": str(path)},
            ],
        }
    )


def test_quick_ships() -> None:
    quick = load_suite("quick")
    assert "quick" in shipped()
    assert (quick.primary, quick.english) == ("text-ko/bpb", "text-en/bpb")
    assert [task.data for task in quick.tasks] == [
        f"builtin:miniature/suite/{name}"
        for name in (
            "text-ko",
            "text-en",
            "instruct-ko",
            "translate",
            "facts-ko",
            "facts-en",
            "answers-ko",
        )
    ]


def test_every_measure_of_every_shipped_suite_is_explained() -> None:
    for name in shipped():
        for full in load_suite(name).measures():
            assert measure(full).explanation
    assert not measure("text-ko/bpb").higher
    assert not MEASURES["brier"].higher


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"colour": 1}, "colour"),
        ({"window": 100, "context": 60}, "at most half of window"),
        ({"measure_kind": "bleu"}, "bits_per_byte"),
        ({"limit": 0}, "limit"),
        ({"name": "Text!"}, "name"),
    ],
)
def test_what_a_suite_cannot_hold(tmp_path: Path, change: dict[str, object], message: str) -> None:
    content = suite(tmp_path).model_dump(mode="json")
    content["tasks"][0].update(change)
    path = tmp_path / "suite.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    with pytest.raises(BadUsage, match=message):
        load_suite(path)


def test_a_primary_that_is_no_measure_names_the_known(tmp_path: Path) -> None:
    path = tmp_path / "suite.yaml"
    content = suite(tmp_path).model_dump(mode="json") | {"primary": "text/accuracy"}
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    with pytest.raises(BadUsage, match="it has text/bpb, talk/fidelity"):
        load_suite(path)


def test_a_missing_suite_names_the_shipped_ones() -> None:
    with pytest.raises(BadUsage, match=r"no suite 'quik'.*quick"):
        load_suite("quik")


def test_yaml_that_is_none(tmp_path: Path) -> None:
    path = tmp_path / "suite.yaml"
    path.write_text("name: [", encoding="utf-8")
    with pytest.raises(BadUsage, match=r"suite\.yaml:1: not valid YAML"):
        load_suite(path)


def test_a_prompt_must_hold_its_source() -> None:
    with pytest.raises(ValueError, match="exactly once"):
        Suite.model_validate(
            {
                "name": "t",
                "primary": "t/pmi_en_ko",
                "tasks": [
                    {
                        "name": "t",
                        "measure_kind": "translation_pmi",
                        "data": "x",
                        "to_korean": ["Translate."],
                    }
                ],
            }
        )


def test_the_id_follows_the_content_and_not_the_place(tmp_path: Path) -> None:
    data, moved = tmp_path / "a.jsonl", tmp_path / "b.jsonl"
    data.write_text('{"text": "x"}\n', encoding="utf-8")
    shutil.copy(data, moved)
    first = suite(data).hash()
    assert suite(moved).hash() == first
    assert len(first) == len(hashlib.sha256().hexdigest()[:12])
    assert suite(data, limit=1).hash() != first
    assert suite(data, window=256).hash() != first
    moved.write_text('{"text": "y"}\n', encoding="utf-8")
    assert suite(moved).hash() != first


def test_another_judgement_of_answers_makes_another_id(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tmp_path / "a.jsonl"
    data.write_text('{"text": "x", "question": "y"}\n', encoding="utf-8")
    talk = {"name": "talk", "measure_kind": "generation", "data": str(data)}
    text = {"name": "text", "measure_kind": "bits_per_byte", "data": str(data)}
    asking, reading = (
        Suite.model_validate({"name": "s", "primary": primary, "tasks": [task]})
        for primary, task in (("talk/fidelity", talk), ("text/bpb", text))
    )
    before = asking.hash(), reading.hash()
    monkeypatch.setattr("kollama2.evaluation.suite.FIDELITY_VERSION", 999)
    assert asking.hash() != before[0]
    assert reading.hash() == before[1]


def test_resolved_replaces_the_uris(tmp_path: Path) -> None:
    resolved = suite(Path("hf:x")).resolved(lambda uri: tmp_path / uri.removeprefix("hf:"))
    assert {task.data for task in resolved.tasks} == {str(tmp_path / "x")}
    assert isinstance(resolved.tasks[0], BitsPerByte)
