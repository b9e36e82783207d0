"""Errors of a YAML file name the file, the line, the key and the near one."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kollama2.errors import BadUsage
from kollama2.study.document import Document
from kollama2.study.schema import Study

GOOD = """\
name: which
base: {uri: builtin:miniature}
sources:
  ko: {uri: builtin:miniature/alpaca-ko}
axes:
  sft:
    lora: {kind: finetune, data: ko, method: lora, lr: 1.0e-3}
suites: [quick]
"""


def read(path: Path, text: str) -> Study:
    path.write_text(text, encoding="utf-8")
    return Document(path).read(Study)


def sentence(path: Path, text: str) -> str:
    with pytest.raises(BadUsage) as caught:
        read(path, text)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_good_study_is_read(tmp_path: Path) -> None:
    study = read(tmp_path / "s.yaml", GOOD)
    assert study.name == "which"
    assert study.axes["sft"]["lora"] == {
        "kind": "finetune", "data": "ko", "method": "lora", "lr": 1e-3,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("old", "new", "line", "says"),
    [
        ("suites:", "suits:", 8, "unknown key 'suits'; did you mean 'suites'?"),
        ("{uri: builtin:miniature}\n", "{url: builtin:miniature}\n", 2, "did you mean 'uri'?"),
        ("ko: {uri:", "ko: {sha: x, uri:", 4, "unknown key 'sha'; did you mean 'sha256'?"),
        ("name: which", "name: Which One", 1, "name: "),
        ("suites: [quick]", "suites: []", 8, "suites: "),
        ("suites: [quick]", "suites: [quick]\nname: again", 9, "the key 'name' is given twice"),
        ("suites: [quick]", "seeds: [a]\nsuites: [quick]", 8, "got 'a'"),
        ("{uri: builtin:miniature}\n", "{uri: s3://x}\n", 2, "got 's3://x'"),
    ],
)
def test_an_error_names_its_line(tmp_path: Path, old: str, new: str, line: int, says: str) -> None:
    path = tmp_path / "s.yaml"
    assert old in GOOD
    found = sentence(path, GOOD.replace(old, new))
    assert found.startswith(f"{path}:{line}: ")
    assert says in found


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "expected a mapping of keys at the top, found nothing"),
        ("- a", "expected a mapping of keys at the top, found a list"),
        ("name: [", "not valid YAML"),
        ("name: !!python/object:os.system x", "not valid YAML"),
    ],
)
def test_what_is_no_study(tmp_path: Path, text: str, says: str) -> None:
    assert says in sentence(tmp_path / "s.yaml", text)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(BadUsage, match="no such file"):
        Document(tmp_path / "none.yaml")


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_bytes(b"\xff\xfe\x00name: x")
    with pytest.raises(BadUsage, match="cannot be read as UTF-8 text"):
        Document(tmp_path / "s.yaml")


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=200) | st.binary(max_size=200).map(lambda b: b.decode("latin-1")))
def test_any_text_gives_a_study_or_one_sentence(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    path = tmp_path_factory.mktemp("fuzz") / "s.yaml"
    path.write_text(text, encoding="utf-8", errors="surrogatepass")
    try:
        Document(path).read(Study)
    except BadUsage as fault:
        assert str(fault)
