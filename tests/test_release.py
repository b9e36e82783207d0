"""What a release is made of: the log of changes, the wheel, the recipe of the image."""

import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import kollama2

ROOT = Path(__file__).parent.parent
SECTION = re.compile(r"^## (Unreleased|(\d+)\.(\d+)\.(\d+) \(\d{4}-\d\d-\d\d\))$", re.MULTILINE)


def test_the_log_of_changes_begins_with_what_is_unreleased() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    sections = [found[0] for found in SECTION.finditer(text)]
    assert sections == re.findall(r"^## .+$", text, re.MULTILINE)
    assert sections[0] == "## Unreleased"
    released = [tuple(map(int, found[1:])) for found in SECTION.findall(text)[1:]]
    assert released == sorted(released, reverse=True)
    assert not released or kollama2.__version__ == "{}.{}.{}".format(*released[0])


def test_the_image_is_built_of_files_that_are_there() -> None:
    lines = (ROOT / "Dockerfile").read_text(encoding="utf-8").splitlines()
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    for line in lines:
        if re.match(r"COPY (?!--from)", line):
            for name in line.split()[1:-1]:
                assert (ROOT / name).exists() and f"!{name}" in ignored
    user = lines.index("USER kollama2")
    assert not [line for line in lines[user:] if line.startswith("RUN")]


@pytest.mark.slow
def test_the_wheel_holds_every_file_and_runs_in_an_empty_environment(tmp_path: Path) -> None:
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}

    def call(*command: str | Path) -> str:
        done = subprocess.run(
            [*map(str, command)], env=clean, cwd=tmp_path, text=True, capture_output=True,
            timeout=240, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    pip = (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check")
    offline = ("--no-index", "--no-deps")
    call(*pip, "wheel", *offline, "--no-build-isolation", "--wheel-dir", tmp_path, ROOT)
    wheel = tmp_path / f"kollama2-{kollama2.__version__}-py3-none-any.whl"
    source = ROOT / "src" / "kollama2"
    files = {str(path.relative_to(source.parent)) for path in source.rglob("*") if path.is_file()}
    held = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert held == {name for name in files if "__pycache__" not in name}

    empty = tmp_path / "empty"
    call(sys.executable, "-m", "venv", "--without-pip", empty)
    call(*pip, "--python", empty / "bin" / "python", "install", *offline, wheel)
    # What it depends on comes from here: after its own folder, and without our editable install.
    (packages,) = empty.glob("lib/*/site-packages")
    here = [path for path in sys.path if path.endswith("-packages")]
    (packages / "here.pth").write_text("\n".join(here), encoding="utf-8")
    assert "Usage: kollama2" in call(empty / "bin" / "kollama2", "--help")
    where = "import kollama2; print(kollama2.__file__)"
    assert call(empty / "bin" / "python", "-c", where).startswith(str(packages))
    listed = call(empty / "bin" / "kollama2", "recipes", "--json")
    assert listed.count('"evidence"') == len(list((source / "recipes").glob("*.yaml")))
