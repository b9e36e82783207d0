import base64
import hashlib
import json
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from kollama2.reporting.html import write_report
from kollama2.reporting.table import leaderboard
from tests.jsons import change
from tests.reporting import fake

ATTACK = """</script><script>alert(1)</script><img src=x onerror="alert(2)">'"&<!--"""


class Page(HTMLParser):
    """What a browser would see: elements with attributes, and the text outside scripts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.text = ""
        self._in = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._in = tag
        if tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag: str) -> None:
        self._in = ""

    def handle_data(self, data: str) -> None:
        if self._in == "script":
            self.scripts[-1] += data
        elif self._in != "style":
            self.text += data


@pytest.fixture(scope="module")
def seen(page: Path) -> Page:
    return Page(page.read_text(encoding="utf-8"))


def test_it_is_one_file_that_asks_for_nothing(page: Path, seen: Page) -> None:
    assert sorted(path.name for path in page.parent.iterdir()) == [
        "leaderboard.json",
        "report.html",
    ]
    for tag, attributes in seen.tags:
        assert "src" not in attributes, tag
        assert (attributes.get("href") or "#").startswith("#"), attributes
        assert tag not in ("link", "iframe", "object", "embed", "img", "base")
    style = re.search(r"<style>(.*?)</style>", page.read_text(encoding="utf-8"), re.DOTALL)
    assert style
    assert "url(" not in style[1]
    assert "@import" not in style[1]


def test_the_browser_is_told_to_run_our_scripts_and_ask_for_nothing(seen: Page) -> None:
    policies = [a["content"] for t, a in seen.tags if a.get("http-equiv") is not None]
    assert len(policies) == 1
    policy = str(policies[0])
    assert "default-src 'none'" in policy
    assert "unsafe-eval" not in policy
    runs = [script for script in seen.scripts if not script.startswith("{")]
    assert len(runs) == 3
    for script in runs:
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy


def test_tables_tell_everything_without_scripts(store: Path, seen: Page) -> None:
    board = leaderboard(store, "quick")
    for row in board.rows:
        assert row.recipe in seen.text
        assert f"{row.score:.4f}" in seen.text
        for score in row.measures.values():
            assert f"{score.score:.4f}" in seen.text
    for sentence in [*board.headline["en"], *board.headline["ko"], *board.warnings["ko"]]:
        assert sentence in seen.text
    assert "not computed" in seen.text
    assert "대한민국의 수도는 서울입니다." in seen.text
    assert "2,001" in seen.text
    assert "no answer: 3" in seen.text
    assert "duplicates: 8" in seen.text
    assert "hf:a/b" in seen.text
    assert "9f8e7d6c5b4a" in seen.text


def test_both_languages_are_in_the_page(seen: Page) -> None:
    for text in ("Leaderboard", "순위표", "Sample answers", "답변 예시", "주의할 점"):
        assert text in seen.text


def test_charts_are_valid_and_hold_the_figures(seen: Page) -> None:
    import vl_convert

    data = json.loads(next(script for script in seen.scripts if script.startswith("{")))
    assert {"forest", "tradeoff", "curve-finetune", "measure-text-ko-bpb"} <= set(data["charts"])
    for name, spec in data["charts"].items():
        vega = vl_convert.vegalite_to_vega({**spec, "width": 300}, show_warnings=False)
        assert vega["marks"], name
        for key in re.findall(r'"@([\w.]+)"', json.dumps(spec)):
            assert key in data["texts"], key
    forest = data["charts"]["forest"]["data"]["values"]
    assert [one["recipe"] for one in forest][:2] == ["alpaca-full", "alpaca-lora"]
    assert all(one["low"] <= one["gain"] <= one["high"] for one in forest)
    assert len(data["charts"]["curve-finetune"]["data"]["values"]) == 11 * 80


def test_hostile_content_stays_text(tmp_path: Path) -> None:
    hostile = fake.Recipe(ATTACK, -1.0, 0.0, 1e12, 10, (("data", ATTACK),))
    answers = {"base": ATTACK, ATTACK: "\ud800\x00\x1b[31m\u202eevil" + ATTACK}
    fake.write(tmp_path / "store", recipes=(fake.RECIPES[0], hostile), seeds=(0,), answers=answers)
    lock = tmp_path / "store" / "studies" / "quick.json"
    change(lock, yaml=ATTACK, kollama2=ATTACK, about=ATTACK)
    text = write_report(tmp_path / "store", "quick", tmp_path / "out").read_text(encoding="utf-8")
    page = Page(text)
    assert len(page.scripts) == 4
    assert "alert(1)" not in "".join(page.scripts[:1] + page.scripts[2:])
    assert not [tag for tag, attributes in page.tags if tag == "img" or "onerror" in attributes]
    assert ATTACK in page.text
    assert "\x00" not in text
    assert "\u202e" not in text
    assert "⟨U+202E⟩evil" in page.text
    specs = json.loads(page.scripts[1])["charts"]
    assert specs["forest"]["data"]["values"][0]["recipe"] == ATTACK


def test_the_same_records_leave_the_page_alone(store: Path, tmp_path: Path) -> None:
    copy = tmp_path / "store"
    shutil.copytree(store, copy)
    page = write_report(copy, "quick", tmp_path)
    first = page.stat().st_mtime_ns
    assert write_report(copy, "quick", tmp_path).stat().st_mtime_ns == first
    done = next(copy.glob("evaluate-*/done.json"))
    fake.change(done, lambda record: record.update(seconds=1.25))
    assert write_report(copy, "quick", tmp_path).stat().st_mtime_ns != first


def test_a_table_that_the_page_was_not_made_with_is_replaced(page: Path, store: Path) -> None:
    board = page.with_name("leaderboard.json")
    current = board.read_text(encoding="utf-8")
    board.write_text(current.replace('"tier": "a"', '"tier": "z"'), encoding="utf-8")
    write_report(store, "quick", page.parent)
    assert board.read_text(encoding="utf-8") == current


def test_a_study_without_results_has_a_page(tmp_path: Path) -> None:
    names = frozenset((recipe.name, 0) for recipe in fake.RECIPES)
    fake.write(tmp_path, seeds=(0,), missing=names)
    seen = Page(write_report(tmp_path, "quick", tmp_path / "out").read_text(encoding="utf-8"))
    assert "Nothing can be ranked yet" in seen.text
    assert "This study has no sample answers." in seen.text


def test_importing_the_report_is_light() -> None:
    code = (
        "import sys, kollama2.reporting.html, kollama2.reporting.query, kollama2.reporting.table\n"
        "heavy = {'torch', 'transformers', 'altair', 'duckdb', 'pandas', 'vl_convert', 'jinja2'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_too_few_items_show_no_numbers_that_are_none(tmp_path: Path) -> None:
    fake.write(tmp_path / "store", seeds=(0, 1), items=6)
    page = write_report(tmp_path / "store", "quick", tmp_path / "out").read_text(encoding="utf-8")
    shown = re.sub(r"<script(?! [^>]*json).*?</script>", "", page, flags=re.DOTALL)
    assert not re.search(r"\bnan\b", shown, re.IGNORECASE)
    assert "Only 6 independent items: too few for a verdict, which takes 8." in page
