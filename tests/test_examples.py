"""The commands of Meta's README, as printed there."""

import ast
import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from tests.llama import meta_files

REPOSITORY = Path(__file__).parent.parent
LINE = "\n==================================\n"


@pytest.fixture
def folder(tiny_tokenizer: Path, tmp_path: Path) -> Path:
    meta_files.write(tmp_path / "llama-2-7b", "tiny")
    (tmp_path / "tokenizer.model").write_bytes((tiny_tokenizer / "tokenizer.model").read_bytes())
    return tmp_path


def start(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(REPOSITORY / "src")}
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=250,
        check=False,
    )  # fmt: skip


def test_arguments_in_their_order_and_their_defaults() -> None:
    """Fire takes them by position too."""

    def signature(name: str) -> str:
        tree = ast.parse((REPOSITORY / name).read_text(encoding="utf-8"))
        (main,) = (n for n in tree.body if isinstance(n, ast.FunctionDef))
        names = [argument.arg for argument in main.args.args]
        defaults = [ast.unparse(default) for default in main.args.defaults]
        required = len(names) - len(defaults)
        given = [f"{n}={d}" for n, d in zip(names[required:], defaults, strict=True)]
        return ", ".join([*names[:required], *given])

    both = "ckpt_dir, tokenizer_path, temperature=0.6, top_p=0.9, "
    assert signature("example_text_completion.py") == (
        both + "max_seq_len=128, max_gen_len=64, max_batch_size=4"
    )
    assert signature("example_chat_completion.py") == (
        both + "max_seq_len=512, max_batch_size=8, max_gen_len=None"
    )


def test_chats_with_a_batch_smaller_than_the_dialogs(folder: Path) -> None:
    options = "--ckpt_dir llama-2-7b/ --tokenizer_path tokenizer.model --max_seq_len 700"
    script = str(REPOSITORY / "example_chat_completion.py")
    done = start(
        [sys.executable, script, *options.split(), "--max_batch_size", "4", "--max_gen_len", "3"],
        folder,
    )
    assert done.returncode == 0, done.stderr
    answers = done.stdout.split(LINE)
    assert len(answers) == 7
    assert answers[-1] == "\n"
    assert answers[2].startswith("\nSystem: 항상 한국어로")
    assert "> Assistant: Error: special tags are not allowed" in answers[5]


def test_a_wrong_folder_is_one_sentence(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    script = str(REPOSITORY / "example_text_completion.py")
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "argv", [script, "nowhere/", "tokenizer.model"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(script, run_name="__main__")
    assert ended.value.code == 64
    said = "no checkpoint files found in nowhere/; there is no such folder\n"
    assert capsys.readouterr() == ("", said)


@pytest.mark.slow
def test_texts_under_torchrun(folder: Path) -> None:
    options = "--ckpt_dir llama-2-7b/ --tokenizer_path tokenizer.model --max_seq_len 328"
    done = start(
        [
            sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "1",
            str(REPOSITORY / "example_text_completion.py"), *options.split(),
            "--max_batch_size", "4",
        ],
        folder,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(LINE) == 4
    assert done.stdout.startswith("The oldest bridge in the city was built because\n> ")
