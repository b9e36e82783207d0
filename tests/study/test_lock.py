"""Which study a name means, and what its lock keeps of it."""

import json
from pathlib import Path

import pytest

from kollama2.engine.commit import keep_json
from kollama2.engine.document import Document
from kollama2.errors import BadUsage, Corrupt
from kollama2.records.lock import Lock
from kollama2.records.read import read
from kollama2.study.lock import find, lock, name_of

STUDY = """\
name: mine
base: {uri: builtin:miniature}
sources: {ko: {uri: "file:ko.txt"}}
axes:
  cpt: {ko: {kind: pretrain, data: ko, method: full, lr: 1.0e-3, bytes: 1KB}}
suites: [quick]
"""


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store that knows the study `mine`, whose file is gone."""
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "elsewhere.yaml"
    file.write_text(STUDY)
    (tmp_path / "ko.txt").write_text("가나다\n" * 200)
    kept = lock(Document(file), tmp_path / "runs").record()
    keep_json(tmp_path / "runs/studies/mine.json", kept.plain())
    file.unlink()
    return tmp_path / "runs"


def test_a_study_in_the_store_is_locked_again_as_it_was(store: Path) -> None:
    again = lock(find("mine", store), store)
    assert again.record() == read(store / "studies/mine.json", Lock)
    assert name_of("mine", store) == "mine"
    assert (name_of(None, store), name_of("quick", store)) == ("quick", "quick")
    Path("studies").mkdir()
    for name in ("ready.yaml", "ready.suite.yaml", "ready.mirrors.yaml"):
        Path("studies", name).touch()
    with pytest.raises(BadUsage, match=r"no study 'other': .* or one of quick, ready, mine$"):
        find("other", store)


def test_a_file_goes_before_a_name_in_the_store(store: Path) -> None:
    Path("studies").mkdir()
    Path("studies/mine.yaml").write_text(STUDY.replace("name: mine", "name: renamed"))
    assert name_of("mine", store) == name_of("studies/mine.yaml", store) == "renamed"


def test_what_is_wrong_with_a_kept_study_names_its_lock_and_a_report_does_not_mind(
    store: Path,
) -> None:
    kept = store / "studies/mine.json"
    wrong = read(kept, Lock).model_copy(update={"yaml": STUDY.replace("lr:", "rate:")})
    keep_json(kept, wrong.sealed().plain())
    with pytest.raises(BadUsage, match=rf"^{kept}:5: unknown key 'rate'"):
        lock(find("mine", store), store)
    assert name_of("mine", store) == "mine"


def test_a_lock_that_names_another_stage_is_damaged(store: Path) -> None:
    kept = store / "studies/mine.json"
    value = json.loads(kept.read_text(encoding="utf-8"))
    older = {name: one for name, one in value.items() if name != "sha256"}
    keep_json(kept, {**older, "note": "by another version"})
    assert read(kept, Lock).cells == Lock(**value).cells
    value["cells"][0]["evaluate"] = value["cells"][-1]["evaluate"] + "0"
    keep_json(kept, value)
    with pytest.raises(Corrupt, match=f"{kept} is damaged: its own checksum does not fit; move it"):
        read(kept, Lock)
