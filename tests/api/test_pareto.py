"""The picture of a frontier: every model is told, what nothing beats is numbered and joined."""

import json
import re
from pathlib import Path

import pytest

from kollama2.api.pareto import draw, numbered, points
from kollama2.cli.frontier import frontier
from kollama2.errors import BadUsage
from kollama2.reporting.table import unbeaten

FOUND = points(
    {
        "base": {"t/bpb": 4.0, "e/bpb": 1.0},
        "ko <b>": {"t/bpb": 2.0, "e/bpb": 1.5},
        "half": {"t/bpb": 3.0, "e/bpb": 1.1},
        "bad": {"t/bpb": 3.5, "e/bpb": 1.2},
    },
    "t/bpb",
    "e/bpb",
)


def test_the_best_are_numbered_from_the_least_loss_on() -> None:
    assert numbered(FOUND) == {"base": 1, "half": 2, "ko <b>": 3}


def test_a_page_that_works_offline_on_any_screen(tmp_path: Path) -> None:
    path = tmp_path / "frontier.html"
    draw(FOUND, "t/bpb", "e/bpb", path)
    page = path.read_text(encoding="utf-8")
    head, _, rest = page.partition("</style>")
    assert 'content="width=device-width' in head
    assert not re.search(r'(?:src|href)="https?:', page)
    spec = json.loads(re.findall(r"const spec = (\{.*\});\n", rest)[-1])
    assert spec["width"] == "container"
    assert [one["number"] for one in spec["data"]["values"]] == ["3", "2", "", "1"]
    table = page[page.rindex("<table>") : page.rindex("</body>")]
    rows = re.findall(
        r"<tr[^>]*>(?:<td>(.*?)</td>)<td>(.*?)</td><td>(.*?)</td><td>(.*?)</td>", table
    )
    assert rows == [
        ("3", "ko &lt;b&gt;", "+50.0%", "+50.0%"),
        ("2", "half", "+25.0%", "+10.0%"),
        ("", "bad", "+12.5%", "+20.0%"),
        ("1", "base", "+0.0%", "+0.0%"),
    ]


def test_a_drawing_without_a_page(tmp_path: Path) -> None:
    draw(FOUND, "t/bpb", "e/bpb", tmp_path / "frontier.svg")
    text = (tmp_path / "frontier.svg").read_text(encoding="utf-8")
    assert text.startswith("<svg")
    assert text.count("mark-symbol") == 1
    assert "English loss (e/bpb)" in text


def test_what_is_no_picture_is_refused_before_anything_runs(tmp_path: Path) -> None:
    with pytest.raises(BadUsage, match=r"frontier\.txt is no picture .* \.svg, \.png, \.html"):
        frontier("builtin:miniature", "builtin:miniature", plot=tmp_path / "frontier.txt")


def test_what_nothing_beats() -> None:
    values = {"a": (1, 0), "b": (0.5, 1), "c": (0.4, 0.9), "d": (1, 0), "e": (1, -1)}
    assert unbeaten(values) == {"a", "b", "d"}
    assert unbeaten({"a": (0, 0)}) == {"a"}


def test_gain_and_loss_are_shares_of_the_base() -> None:
    found = points(
        {
            "base": {"t/bpb": 2.0, "e/bpb": 1.0},
            "ko": {"t/bpb": 1.0, "e/bpb": 1.5},
            "bad": {"t/bpb": 1.5, "e/bpb": 1.6},
        },
        "t/bpb",
        "e/bpb",
    )
    assert [(p.name, p.korean_gain, round(p.english_loss, 6), p.best) for p in found] == [
        ("ko", 0.5, 0.5, True),
        ("bad", 0.25, 0.6, False),
        ("base", 0.0, 0.0, True),
    ]
