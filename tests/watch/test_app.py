"""The server of the page, as a browser and as a shell see it."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from starlette.testclient import TestClient

from kollama2.engine.lease import Lease
from kollama2.watch.app import create
from tests.browsing import browser, fits, tab, violations
from tests.reporting import fake
from tests.watch.test_read import MISSING, line, unfinished


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return fake.write(tmp_path, seeds=(0, 1), items=4, missing=MISSING)


def test_the_page_and_its_questions(store: Path) -> None:
    client = TestClient(create(store), base_url="http://localhost:8323")
    page = client.get("/")
    assert page.headers["content-security-policy"].startswith("default-src 'none'; ")
    assert page.headers["cache-control"] == "no-store"
    assert client.get("/api/studies").json() == [{"name": "quick", "running": False}]
    assert client.get("/api/study", params={"name": "quick"}).json()["measured"] == 9
    assert len(client.get("/api/board", params={"name": "quick"}).json()["rows"]) == 6
    for name in ("none", "../quick", "studies/quick"):
        refused = client.get("/api/study", params={"name": name})
        assert refused.status_code == 404
        assert "has no study" in refused.json()["error"]
    assert client.get("/", headers={"host": "evil.example"}).status_code == 400
    for method in ("POST", "PUT", "DELETE"):
        assert client.request(method, "/api/study").status_code == 405


def test_a_damaged_record_is_told_and_the_server_stays(store: Path) -> None:
    client = TestClient(create(store), base_url="http://localhost:8323")
    next(store.glob("evaluate-*/done.json")).write_text("{")
    failed = client.get("/api/study", params={"name": "quick"})
    assert failed.status_code == 503
    assert "done.json" in failed.json()["error"]
    assert client.get("/api/studies").status_code == 200


def test_a_token_is_needed_where_others_reach_it(store: Path) -> None:
    client = TestClient(create(store, None, "0123456789abcdef"))
    assert client.get("/").status_code == 403
    assert client.get("/api/studies?token=wrong").status_code == 403
    assert client.get("/api/studies?token=0123456789abcdef").status_code == 200


@contextmanager
def watching(store: Path) -> "Iterator[tuple[subprocess.Popen[str], str]]":
    process = subprocess.Popen(
        [sys.executable, "-m", "kollama2", "watch", "--store", str(store), "--port", "0"],
        stderr=subprocess.PIPE, text=True, env={**os.environ, "NO_COLOR": "1"},
    )  # fmt: skip
    try:
        assert process.stderr is not None
        found = re.fullmatch(
            r"studies of (.*): (http://127\.0\.0\.1:\d+/) \(stop with Ctrl-C\)\n",
            process.stderr.readline(),
        )
        assert found is not None
        assert found[1] == str(store)
        yield process, found[2]
    finally:
        process.kill()
        process.wait()
        if process.stderr is not None:
            process.stderr.close()


@pytest.mark.slow
def test_the_command_ends_with_a_sentence(store: Path) -> None:
    with watching(store) as (process, url):
        assert httpx.get(f"{url}api/studies", timeout=60).json() == [
            {"name": "quick", "running": False}
        ]
        process.terminate()
        _, said = process.communicate(timeout=60)
    assert said == (
        "kollama2: ended by SIGTERM; nothing finished is lost and the same command continues\n"
    )
    assert process.returncode == 75


@pytest.mark.slow
@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize(("locale", "scheme"), [("ko-KR", "light"), ("en-US", "dark")])
def test_the_page_follows_a_study(store: Path, width: int, locale: str, scheme: str) -> None:
    folder = unfinished(store, "vicuna-lora")
    metrics, progress = folder / "metrics.jsonl", folder / "progress.json"
    words = {
        "ko": ("단계 27개 중 완료 21개, 실행 중 1개, 실패 0개, 대기 5개", "1분 5초"),
        "en": ("21 of 27 stages done, 1 running, 0 failed, 5 to do", "1 min 5 s"),
    }
    counts, time = words[locale[:2]]
    look = {"locale": locale, "color_scheme": scheme, "viewport": {"width": width, "height": 800}}
    with (
        browser() as found,
        watching(store) as (process, url),
        Lease(store / f"{folder.stem}.lease"),
    ):
        metrics.write_text(line(1, 4.0))
        progress.write_text(json.dumps({"done": 1, "total": 4, "unit": "steps", "seconds": 65}))
        with tab(found, url, **look) as page:
            assert page.locator("#counts").inner_text() == counts
            assert page.locator("#now li").count() == 1
            assert time in page.locator("#now li").inner_text()
            assert page.locator("#curves polyline").count() == 6
            page.wait_for_selector("#board table")
            assert page.locator("#board tbody tr").count() == 6
            page.focus("#board .wide")
            metrics.write_text(line(1, 4.0) + line(2, 1.2345))
            page.wait_for_selector("#curves .legend >> text=1.2345")
            # Whoever reads the leaderboard is left where they are.
            assert page.evaluate("document.activeElement.parentElement.id") == "board"
            page.click("summary")
            assert page.locator("#stages tbody tr").count() == 27
            assert violations(page) == []
            assert fits(page)
            (folder / "error.log").write_text("ValueError: <b>no room</b>\n")
            page.wait_for_selector("#failures li")
            assert page.locator("#failures .bad").inner_text() == "ValueError: <b>no room</b>"
            process.kill()
            page.wait_for_selector("#trouble:visible")
            assert page.locator("#board tbody tr").count() == 6
