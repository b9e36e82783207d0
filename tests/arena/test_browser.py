"""The arena in a real browser, where one is installed: clicks and keys become votes."""

import json
import random
import shutil
import subprocess
import threading
import time
from pathlib import Path

import pytest
import uvicorn
from starlette.responses import HTMLResponse

from kollama2 import arena
from kollama2.arena.app import Arena, create
from kollama2.pages.page import page
from kollama2.reporting.study import load
from tests.reporting import fake
from tests.reporting.test_browser import QUIET

# Clicks each of the four buttons twice, then presses a key, then changes the language.
HAND = """<script>let n = 0; const choices = ["left", "right", "tie", "bad"]; setInterval(() => {
  const button = document.querySelector(`[data-choice=${choices[n % 4]}]`);
  if (n < 8 && !button.disabled) { n++; button.click(); }
  else if (n === 8 && !button.disabled) {
    n++;
    document.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowUp" }));
  }
  else if (n === 9 && !button.disabled) { n++; document.getElementById("language").click(); }
}, 40)</script></body>"""


@pytest.mark.slow
def test_a_hand_votes(tmp_path: Path) -> None:
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("no chromium here")
    store = fake.write(tmp_path / "store", seeds=(0,), items=4)
    app = create(Arena(load(store, "quick"), random.Random(1)))
    html = page(Path(arena.__file__).parent, "arena", study="quick").html

    @app.get("/hand")
    def hand() -> HTMLResponse:
        return HTMLResponse(html.replace("</body>", HAND))

    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            time.sleep(0.02)
        port = server.servers[0].sockets[0].getsockname()[1]
        command = [chromium, *QUIET.split(), f"--user-data-dir={tmp_path / 'chromium'}"]
        command += ["--virtual-time-budget=6000", "--dump-dom"]

        def dom(path: str) -> "subprocess.CompletedProcess[str]":
            return subprocess.run(
                [*command, f"http://127.0.0.1:{port}/{path}"],
                capture_output=True, text=True, timeout=120, check=True,
            )  # fmt: skip

        # The page as it is served, under its own policy: a pair is shown and nothing refused.
        plain = dom("")
        assert 'data-ready="yes"' in plain.stdout
        assert "저장된 투표 0건, 남은 비교 70건" in plain.stdout
        assert "Refused" not in plain.stderr
        assert "CONSOLE" not in plain.stderr
        assert "9 votes kept, 61 pairs left for you" in dom("hand").stdout
    finally:
        server.should_exit = True
        thread.join()
    path = store / "studies" / "quick" / "votes.jsonl"
    votes = [json.loads(line) for line in path.read_text().splitlines()]
    assert [one["choice"] for one in votes] == [*("left", "right", "tie", "bad") * 2, "tie"]
    assert len({one["vote"] for one in votes}) == 9
