"""The site: it builds without a warning, and a reader's browser asks nobody else for anything."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
# What a browser loads by itself; a link that a reader may follow is none of it.
LOADED = re.compile(r"""<(?:script|img|iframe|source)\b[^>]*\bsrc=["']?([^"'\s>]+)""")
LINKED = re.compile(r"""<link\b[^>]*\bhref=["']?([^"'\s>]+)""")
STYLE = re.compile(r"""(?:@import|url\()\s*["']?(https?:)?//""")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site") / "site"
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", folder],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return folder


def test_nothing_is_loaded_from_elsewhere(site: Path) -> None:
    pages = sorted(site.rglob("*.html"))
    assert len(pages) > 35
    for page in pages:
        text = page.read_text(encoding="utf-8")
        for place in [*LOADED.findall(text), *LINKED.findall(text)]:
            assert not re.match(r"(https?:)?//", place), (page.name, place)
    for style in site.rglob("*.css"):
        assert not STYLE.search(style.read_text(encoding="utf-8")), style.name


def test_korean_pages_say_that_they_are_korean(site: Path) -> None:
    korean = (site / "ko" / "index.html").read_text(encoding="utf-8")
    english = (site / "index.html").read_text(encoding="utf-8")
    assert '<html lang="ko"' in korean and "검색" in korean
    assert '<html lang="en"' in english and "검색" not in english


def test_the_search_knows_both_languages(site: Path) -> None:
    index = json.loads((site / "search" / "search_index.json").read_text(encoding="utf-8"))
    assert index["config"]["lang"] == ["en", "ko"]
    titles = {one["title"] for one in index["docs"]}
    assert {"무엇부터 해 볼까", "Where is a new method added?"} < titles
