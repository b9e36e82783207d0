"""What the pages name is there: commands and their options, files, studies, suites, recipes."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from typer.core import TyperGroup

from kollama2.cli.app import app
from kollama2.engine.document import Document
from kollama2.evaluation.suite import Suite
from kollama2.study import recipes
from kollama2.study.schema import Study
from tests.test_readme import commands as of_readme

ROOT = Path(__file__).parent.parent.parent
DOCS = ROOT / "docs"
# The journal and the log of changes tell of the past.
PAGES = [page for page in sorted(DOCS.rglob("*.md")) if page.name not in ("journal.md", "cli.md")]
PAGES += [ROOT / name for name in ("README.md", "README.ko.md", "CONTRIBUTING.md", "RELEASE.md")]
FENCED = re.compile(r"^```bash\n(.*?)^```", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"^ {4}(kollama2 .+)$|`(kollama2 [^`\n]+)`", re.MULTILINE)
BLOCK = re.compile(r"^```yaml\n(name: .*?)^```", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"`((?:[\w.-]+/)+[\w.-]+\.(?:py|yaml|json|sh|txt|toml))`")
LINK = re.compile(r"\]\((?!https?:|#)([^)#\s]+)[^)]*\)")
COMMANDS: Any = typer.main.get_command(app)
PAGE = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def text(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def fenced(page: Path) -> list[str]:
    """The lines of a page that are to be typed into a shell."""
    return [line for line in "".join(FENCED.findall(text(page))).splitlines() if line.strip()]


@PAGE
def test_every_command_and_every_option_exists(page: Path) -> None:
    lines = [line for line in fenced(page) if line.startswith("kollama2 ")]
    lines += ["".join(found) for found in COMMAND.findall(text(page))]
    for line in lines:
        words = shlex.split(line.replace("…", ""), comments=True)[1:]
        command = COMMANDS
        while words and isinstance(command, TyperGroup) and words[0] in command.commands:
            command, words = command.commands[words[0]], words[1:]
        known = {name for one in command.params for name in one.opts} | {"--help"}
        options = {word.partition("=")[0] for word in words if re.match(r"--?[a-z]", word)}
        assert options <= known, line
        if isinstance(command, TyperGroup):  # `kollama2 --help`, `kollama2 COMMAND --help`
            assert words[0].startswith("-") or words[0].isupper(), line


@PAGE
def test_every_link_leads_somewhere(page: Path) -> None:
    for link in LINK.findall(text(page)):
        assert (page.parent / link).exists(), link


def test_every_file_that_the_architecture_names_is_there() -> None:
    page = text(DOCS / "architecture.md")
    named = FILE.findall(page)
    assert len(named) > 20
    for name in named:
        if not name.startswith("runs/"):
            assert (ROOT / name).is_file() or (ROOT / "src" / "kollama2" / name).is_file(), name


@PAGE
def test_every_study_and_suite_can_be_read(page: Path, tmp_path: Path) -> None:
    for number, body in enumerate(BLOCK.findall(text(page))):
        file = tmp_path / f"{number}.yaml"
        file.write_text(body, encoding="utf-8")
        Document(file).read(Suite if "tasks" in yaml.safe_load(body) else Study)


@pytest.mark.parametrize("page", ["index.md", "ko/index.md"])
def test_the_first_page_prints_commands_that_the_readme_prints_too(page: str) -> None:
    """Those of the README are run by `test_readme`."""
    bare = [shlex.split(line, comments=True) for line in fenced(DOCS / page)]
    known = [shlex.split(line, comments=True) for line in of_readme("README.md")]
    assert bare and all(line in known for line in bare)


def test_the_korean_page_of_use_shows_the_same_code() -> None:
    """But for what its comments say; every block, table and command in its place."""
    english, korean = (text(DOCS / page) for page in ("use.md", "ko/use.md"))
    blocks = re.compile(r"^```(\w+)\n(.*?)^```|^ {4}(kollama2 [^\n]+)$", re.M | re.S)

    def code(page: str) -> list[tuple[str, list[str]]]:
        return [
            (kind, [re.sub(r"\s+#.*", "", line) for line in (body or command).splitlines()])
            for kind, body, command in blocks.findall(page)
        ]

    assert code(english) == code(korean) and len(code(english)) > 10
    first = re.compile(r"^\| (`[^|]+`) \|", re.M)
    assert first.findall(english) == first.findall(korean)


@pytest.mark.parametrize("page", ["recipes/index.md", "ko/recipes.md"])
def test_both_lists_of_recipes_name_each_once(page: str) -> None:
    rows = re.findall(r"^\| \[([\w-]+)\]\((?:\.\./recipes/)?\1\.md\) \|", text(DOCS / page), re.M)
    assert sorted(rows) == recipes.names()
