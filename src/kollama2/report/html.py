"""The report: one self-contained HTML page that works offline."""

import html as escape
from pathlib import Path

from kollama2.report import table


def write_report(store_root: Path, study: str, out: Path) -> Path:
    """Writes `report.html` and `leaderboard.json` of a study; returns the page's path."""
    board = table.leaderboard(store_root, study)
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    (out / "leaderboard.json").write_text(board.to_json(), encoding="utf-8")
    rows = "".join(
        f"<tr><td>{escape.escape(row.recipe)}<td>{row.primary.score if row.primary else '–'}"
        for row in board.rows
    )
    page = out / "report.html"
    page.write_text(f"<!doctype html><meta charset=utf-8><table>{rows}</table>", encoding="utf-8")
    return page
