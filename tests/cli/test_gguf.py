"""GGUF files on the command line: wherever a model folder is taken."""

import json
import shutil
import sys
from pathlib import Path

import pytest

from kollama2.cli.app import main
from kollama2.engine.graph import inline, plan, run
from kollama2.engine.store import Store
from kollama2.errors import BadData, BadUsage
from kollama2.model.folder import ModelFolder
from kollama2.stages import Source
from kollama2.stages.source import content
from kollama2.study.adapt import adaptation, spec_of
from kollama2.study.locate import Locator
from kollama2.study.shape import shape_of
from tests import tiny
from tests.model import gguf_files as files
from tests.vocab.corpus import llama3_ranks, small_ranks


@pytest.fixture
def file(tiny_model: Path, tmp_path: Path) -> Path:
    return files.tiny_llama(tmp_path / "tiny.gguf", tiny_model)


def said(monkeypatch: pytest.MonkeyPatch, *words: object) -> int:
    """Run a command and return its exit code."""
    monkeypatch.setattr(sys, "argv", ["kollama2", *map(str, words)])
    with pytest.raises(SystemExit) as done:
        main()
    return int(done.value.code or 0)


def test_complete_says_what_the_folder_says(
    file: Path,
    tiny_model: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    how = ("The fox", "--raw", "--max-new-tokens", 12)
    assert said(monkeypatch, "complete", tiny_model, *how) == 0
    expected = capsys.readouterr().out
    assert said(monkeypatch, "complete", file, *how) == 0
    first = capsys.readouterr()
    assert first.out == expected
    assert "tiny.gguf: unpacked once, into " in first.err
    assert said(monkeypatch, "complete", f"file:{file}", *how) == 0
    again = capsys.readouterr()
    assert (again.out, again.err) == (expected, "")


def test_convert_makes_the_folder(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert said(monkeypatch, "convert", file, "-o", tmp_path / "out") == 0
    assert capsys.readouterr().err == f"{tmp_path / 'out'}: 131,392 parameters\n"
    assert ModelFolder.read(tmp_path / "out").tokenizer.bos_id == 1
    assert said(monkeypatch, "convert", file, "-o", tmp_path / "meta", "--to", "meta") == 64


@pytest.mark.parametrize(
    "command", ["complete BAD hi", "adapt BAD --recipe kullm-lora --data d -o out", "evaluate BAD"]
)
def test_a_file_that_is_no_gguf_is_one_sentence(
    command: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("bad.gguf").write_text("<html>404 Not Found</html>")
    assert said(monkeypatch, *command.replace("BAD", "bad.gguf").split()) == 65
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith("bad.gguf is not a GGUF file: it begins with b'<htm', not b'GGUF'; "
                         "download it again, or name a model folder")  # fmt: skip
    assert [one.name for one in tmp_path.iterdir()] == ["bad.gguf"]


def test_a_study_keeps_what_a_file_becomes(file: Path, tmp_path: Path) -> None:
    store = Store(tmp_path / "runs")
    locator = Locator(tmp_path, {}, tmp_path / "hashes.json")
    source = locator.source(spec_of("tiny.gguf"), "model")
    assert (source.uri, source.edition) == ("file:tiny.gguf", 1)
    shape = shape_of(source.config(store))
    assert shape is not None and (shape.rows, shape.hidden, shape.layers) == (384, 64, 2)
    outcome = run([source], store, inline(store))
    assert not outcome.failed
    folder = content(store.path(source))
    assert folder.parent == store.path(source)
    assert ModelFolder.read(folder).tokenizer.vocab_size == 384
    record = store.record(source)
    assert record is not None
    assert (record.metrics["parameters"], record.metrics["dtype"]) == (131_392, "float32")
    file.rename(tmp_path / "moved.gguf")
    moved = locator.source(spec_of("file:moved.gguf"), "model")
    assert moved.key != source.key  # another name, as of any other file
    assert not plan([source], store).todo


def test_a_file_that_cannot_be_unpacked_fails_its_stage_with_its_sentence(
    tiny_model: Path, tmp_path: Path
) -> None:
    files.tiny_llama(tmp_path / "odd.gguf", tiny_model, model="bert")
    store = Store(tmp_path / "runs")
    source = Locator(tmp_path, {}, tmp_path / "hashes.json").source(spec_of("odd.gguf"), "model")
    outcome = run([source], store, inline(store))
    (sentence,) = outcome.failed.values()
    assert "odd.gguf has a tokenizer of the kind 'bert'; of GGUF files llama" in sentence
    assert outcome.exit_code == 65


def test_a_file_is_adapted(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = tmp_path / "rows.json"
    rows.write_text(json.dumps([{"instruction": "하나", "input": "", "output": "둘"}] * 8))
    made = adaptation(str(file), "kullm-lora", [str(rows)], store=tmp_path / "runs")
    todo = plan([made], Store(tmp_path / "runs")).todo
    assert "file:tiny.gguf" in [one.uri for one in todo if isinstance(one, Source)]


def test_another_file_is_no_model(tiny_model: Path, tmp_path: Path) -> None:
    shutil.copy(tiny_model / "model.safetensors", tmp_path / "weights.bin")
    locator = Locator(tmp_path, {}, tmp_path / "hashes.json")
    with pytest.raises(BadUsage, match=r"weights\.bin is a file; a model is a folder, or a \.gguf"):
        locator.source(spec_of("weights.bin"), "model")
    (tmp_path / "other.gguf").write_bytes(b"zip")
    with pytest.raises(BadData, match="is not a GGUF file"):
        locator.source(spec_of("other.gguf"), "model")


def test_a_files_tokenizer_is_expanded(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ko.txt").write_text("\n".join(tiny.KOREAN * 5), encoding="utf-8")
    how = ("--corpus", tmp_path / "ko.txt", "-o", tmp_path / "out", "--size", 20, "--no-syllables")
    assert said(monkeypatch, "tokenizer", "expand", file, *how) == 0
    assert ModelFolder.read(tmp_path / "out").tokenizer.vocab_size >= 404


def test_report_takes_whatever_holds_a_tokenizer(
    file: Path,
    tiny_model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    lines = [f"{files.tiktoken(token)} {rank}" for token, rank in small_ranks().items()]
    (tmp_path / "llama3").mkdir()
    (tmp_path / "llama3" / "tokenizer.model").write_text("\n".join([*lines, ""]))
    assert llama3_ranks(tmp_path / "llama3" / "tokenizer.model") == small_ranks()
    mirrors = tmp_path / "mirrors.yaml"
    mirrors.write_text(f"hf:tiny/model: {tiny_model}\n")
    (tmp_path / "none").mkdir()
    (tmp_path / "bad.model").write_bytes(b"\xff\xff")
    given = [
        tiny_model,
        tiny_model / "tokenizer.model",
        file,
        "hf:tiny/model",
        tmp_path / "llama3",
        tmp_path / "llama3" / "tokenizer.model",
        tmp_path / "none",
        tmp_path / "bad.model",
        tmp_path / "nowhere",
    ]
    code = said(monkeypatch, "tokenizer", "report", *given, "--mirrors", mirrors, "--json")
    told = capsys.readouterr()
    rows = json.loads(told.out)
    assert code == 0
    assert [row["name"] for row in rows] == [
        tiny_model.name,
        f"{tiny_model.name}/tokenizer.model",
        "tiny.gguf",
        "hf:tiny/model",
        "llama3",
        "llama3/tokenizer.model",
    ]
    assert {row["size"] for row in rows[:4]} == {384}
    assert len({row["per_eojeol"] for row in rows[:4]}) == 1
    assert [row["size"] for row in rows[4:]] == [len(small_ranks())] * 2
    reasons = [line for line in told.err.splitlines() if "left out" in line]
    assert reasons == [
        f"{tmp_path / 'none'}: left out: {tmp_path / 'none'} holds neither tokenizer.model nor "
        "tokenizer.json",
        f"{tmp_path / 'bad.model'}: left out: {tmp_path / 'bad.model'} is not a SentencePiece "
        "model",
        f"{tmp_path / 'nowhere'}: left out: nothing lies at {tmp_path / 'nowhere'}; name a folder "
        "or file with a tokenizer",
    ]


def test_report_without_any_tokenizer_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert said(monkeypatch, "tokenizer", "report", tmp_path, "hf:nobody/nothing") == 65
    last = capsys.readouterr().err.splitlines()[-1]
    assert last == "kollama2: none of the tokenizers can be read; the reasons stand above"
