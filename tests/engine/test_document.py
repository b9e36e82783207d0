"""Errors of a YAML file name the file, the line, the key and the near one."""

import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kollama2.engine.document import Document, nodes
from kollama2.errors import BadUsage
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


BOMB = "a0: &a0 x\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 9)
)


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


def test_a_folder(tmp_path: Path) -> None:
    with pytest.raises(BadUsage) as caught:
        Document(tmp_path)
    assert str(caught.value) == f"{tmp_path} is a folder; name a YAML file"


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(BadUsage, match="no such file"):
        Document(tmp_path / "none.yaml")


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_bytes(b"\xff\xfe\x00name: x")
    with pytest.raises(BadUsage, match="cannot be read as UTF-8 text"):
        Document(tmp_path / "s.yaml")


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


@pytest.mark.parametrize(
    ("more", "line", "says"),
    [
        (BOMB, 9, "it holds more than 20,000 values"),
        ("more: &more [*more]\n", 9, "nested deeper than 40"),
        ("more: &more {<<: *more}\n", 9, "nested deeper than 40"),
        ("more: " + "[" * 400 + "\n", 9, "nested deeper than 40"),
        ("more: [" + "x," * 30_000 + "]\n", 9, "it holds more than 20,000 values"),
        ("? [a, b]\n: x\n", 9, "a key must be a word, not a list or a mapping"),
        ("more: " + "9" * 5000 + "\n", 9, "is no int"),
        ("more: 99999999999999999999\n", 9, "'99999999999999999999' is too large a number"),
        ("more: -.inf\n", 9, "'-.inf' is no finite number"),
        ("more: 1.0e+999\n", 9, "'1.0e+999' is no finite number"),
        ("more: 2026-99-99\n", 9, "'2026-99-99' is no timestamp"),
        ('more: "\\ud800"\n', 9, "holds a NUL or half of a character"),
        ('more: "a\\0b"\n', 9, "holds a NUL or half of a character"),
        ("more:\n\t- x\n", 10, "not valid YAML: found character '\\t' that cannot start any token"),
        ("more: \x07\n", 9, "not valid YAML: the character #x0007 is not allowed"),
        ("---\nname: x\n", 9, "not valid YAML: but found another document"),
    ],
)
def test_what_no_file_may_hold(tmp_path: Path, more: str, line: int, says: str) -> None:
    path = tmp_path / "s.yaml"
    began = time.monotonic()
    found = sentence(path, GOOD + more)
    assert found.startswith(f"{path}:{line}: ")
    assert says in found
    assert len(found) < len(str(path)) + 300
    assert time.monotonic() - began < 5


def test_a_file_that_is_too_large_is_not_read_to_its_end(tmp_path: Path) -> None:
    with pytest.raises(BadUsage, match="/dev/zero is larger than the 1,048,576 bytes"):
        Document(Path("/dev/zero"))


def test_several_documents_are_counted_too(tmp_path: Path) -> None:
    path = tmp_path / "task.yaml"
    path.write_text("task: !function f.g\n---\na: 1\n", encoding="utf-8")
    assert len(nodes(path)) == 2
    path.write_text(f"task: x\n---\n{BOMB}", encoding="utf-8")
    with pytest.raises(BadUsage, match="it holds more than 20,000 values"):
        nodes(path)
