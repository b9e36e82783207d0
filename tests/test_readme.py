"""Every command of the README is run as printed, on files of the names that it uses."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from kollama2.miniature import corpora

ROOT = Path(__file__).parent.parent
BLOCK = re.compile(r"^```(bash|yaml)\n(.*?)^```", re.MULTILINE | re.DOTALL)
READMES = ("README.md", "README.ko.md")
SUITE = """\
name: mine
primary: text-ko/bpb
english: text-en/bpb
tasks:
  - {name: text-ko, measure_kind: bits_per_byte, data: "builtin:miniature/suite/text-ko", limit: 8}
  - {name: text-en, measure_kind: bits_per_byte, lang: en, limit: 8,
     data: "builtin:miniature/suite/text-en"}
"""
INSTALLS = (
    "pip install -c constraints.txt -e . && kollama2 run",
    'pip install -c constraints.txt -e ".[dev]" && pytest',
)


def blocks(readme: str, language: str) -> list[str]:
    text = (ROOT / readme).read_text(encoding="utf-8")
    return [body for found, body in BLOCK.findall(text) if found == language]


def commands(readme: str) -> list[str]:
    """The command lines of a README."""
    lines = "".join(blocks(readme, "bash")).splitlines()
    return [line for line in lines if line.strip()]


@pytest.mark.parametrize("readme", READMES)
def test_both_readmes_print_the_same_commands(readme: str) -> None:
    bare = [shlex.split(line, comments=True) for line in commands(readme)]
    assert bare == [shlex.split(line, comments=True) for line in commands(READMES[0])]
    assert set(INSTALLS) < set(commands(readme))


def test_continuous_integration_runs_the_two_that_set_everything_up() -> None:
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert f"\n{INSTALLS[1]}\n" in script
    assert INSTALLS[0].partition("&& ")[2] in script


@pytest.fixture
def folder(tmp_path: Path, tiny_model: Path) -> Path:
    """A user's folder: data, a suite, and a mirrors file that stands for the hub."""
    made = corpora.write("alpaca-ko", tmp_path, size=40)
    (tmp_path / made["file"]).rename(tmp_path / "my_data.json")
    (tmp_path / "my-suite.yaml").write_text(SUITE, encoding="utf-8")
    (tmp_path / "mirrors.yaml").write_text(
        f"hf:meta-llama/Llama-2-7b-hf: {tiny_model}\nhf:nlpai-lab/kullm-v2: my_data.json\n",
        encoding="utf-8",
    )
    (yaml,) = (body for body in blocks("README.md", "yaml") if body.startswith("name: "))
    assert "50MB" in yaml
    (tmp_path / "study.yaml").write_text(yaml.replace("50MB", "2KB"), encoding="utf-8")
    return tmp_path


@pytest.mark.slow
def test_the_commands_of_the_readme(folder: Path) -> None:
    mirrors = str(folder / "mirrors.yaml")
    environment = {**os.environ, "KOLLAMA2_MIRRORS": mirrors, "COLUMNS": "200"}

    def run(line: str) -> str:
        program, *arguments = shlex.split(line, comments=True)
        assert program == "kollama2"
        done = subprocess.run(
            [sys.executable, "-m", "kollama2", *arguments],
            cwd=folder, env=environment, capture_output=True, text=True, timeout=280, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{line}\n{done.stderr}"
        return done.stdout

    answers: dict[str, str] = {}
    for line in commands("README.md"):
        if line in INSTALLS:
            continue
        if line.startswith("kollama2 why"):
            trained = sorted(d.name for d in (folder / "runs").glob("finetune-*"))[:2]
            line = f"kollama2 why {' '.join(trained)}"
        if line.startswith("kollama2 predict"):  # only one study is computed here
            shutil.copytree(folder / "runs", folder / "larger")
            line = "kollama2 predict which-method which-method --large-store larger"
        answers[line] = run(line)
    said = "\n".join(answers.values())
    assert "40 = 40 kept + 0 rejected" in said
    assert "kollama2 chat my-model" in said and "kollama2 evaluate my-model" in said
    assert (folder / "runs/studies/which-method/report.html").is_file()
    board = json.loads((folder / "runs/studies/which-method/leaderboard.json").read_text())
    assert {row["recipe"] for row in board["rows"]} == {"base", "full", "lora", "qlora"}
