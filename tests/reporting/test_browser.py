"""The page in a real browser, where one is installed."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from kollama2.reporting.items import browsed
from kollama2.reporting.study import load

QUIET = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-sync "
    "--disable-background-networking --disable-component-update --enable-logging=stderr"
)


@pytest.mark.slow
@pytest.mark.parametrize("width", [390, 1280])
def test_every_chart_is_drawn_and_nothing_is_refused(
    page: Path, store: Path, tmp_path: Path, width: int
) -> None:
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("no chromium here")
    done = subprocess.run(
        [
            chromium,
            *QUIET.split(),
            f"--user-data-dir={tmp_path}",
            f"--window-size={width},2000",
            "--virtual-time-budget=20000",
            "--dump-dom",
            f"{page.as_uri()}#theme=dark&lang=ko&task=quiz-ko&a=alpaca-full&b=base&show=a-not-b",
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert 'data-drawn="yes"' in done.stdout
    assert 'data-theme="dark"' in done.stdout
    assert 'lang="ko"' in done.stdout
    charts = done.stdout.count('class="chart')
    assert len(re.findall(r'<svg[^>]*class="marks"', done.stdout)) == charts == 10
    assert "베이스 대비 절약한 한국어 비트 (%)" in done.stdout
    quiz = next(
        one
        for one in browsed(load(store, "quick"), ["base", "alpaca-full"]).tasks
        if one["task"] == "quiz-ko"
    )
    found = [item["id"] for item in quiz["items"] if item["r"] == [0, 1]]
    assert len(found) > 5
    assert f"이 페이지의 60개 문항 중 {len(found)}개" in done.stdout
    assert done.stdout.count('<article class="item">') == min(20, len(found))
    assert "Refused" not in done.stderr
    assert "CONSOLE" not in done.stderr
