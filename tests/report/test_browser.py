"""The page in a real browser, where one is installed."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

QUIET = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-sync "
    "--disable-background-networking --disable-component-update --enable-logging=stderr"
)


@pytest.mark.slow
@pytest.mark.parametrize("width", [390, 1280])
def test_every_chart_is_drawn_and_nothing_is_refused(
    page: Path, tmp_path: Path, width: int
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
            f"{page.as_uri()}#theme=dark&lang=ko",
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
    assert "기준 대비 절약한 한국어 비트 (%)" in done.stdout
    assert "Refused" not in done.stderr
    assert "CONSOLE" not in done.stderr
