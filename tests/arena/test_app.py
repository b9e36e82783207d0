"""The arena as a browser sees it: blind, safe, and nothing that was acknowledged is lost."""

import json
import random
import re
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from kollama2 import arena
from kollama2.arena.app import Arena, create
from kollama2.pages.page import texts
from kollama2.reporting.preferences import panels
from kollama2.reporting.study import load
from kollama2.reporting.table import leaderboard
from tests.reporting import fake

VOTER = {"voter": "someone-1"}


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return fake.write(tmp_path, seeds=(0,), items=4)


def client(store: Path) -> TestClient:
    arena = Arena(load(store, "quick"), random.Random(3))
    return TestClient(create(arena), base_url="http://localhost:8321")


def votes(store: Path) -> list[dict[str, Any]]:
    path = store / "studies" / "quick" / "votes.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def test_a_pair_is_blind(store: Path) -> None:
    found = client(store).post("/api/pair", json=VOTER).json()
    assert sorted(found) == ["answers", "done", "left", "prompt", "token", "voted"]
    assert len(found["answers"]) == 2
    text = json.dumps(found)
    for recipe in fake.RECIPES:
        assert not re.search(rf"\b{recipe.name}\b", text)
    assert "evaluate-" not in text


def test_a_vote_is_kept_once_with_the_sides_as_shown(store: Path) -> None:
    browser = client(store)
    shown = browser.post("/api/pair", json=VOTER).json()
    vote = {**VOTER, "token": shown["token"], "choice": "left", "seconds": 4.2}
    for _ in range(2):  # a browser that lost the answer sends it again
        assert browser.post("/api/vote", json=vote).json() == {"kept": True}
    (kept,) = votes(store)
    assert (kept["choice"], kept["voter"], kept["seconds"]) == ("left", "someone-1", 4.2)
    lines = (store / kept["left"] / "samples.jsonl").read_text().splitlines()
    answer = next(one for one in map(json.loads, lines)
                  if (one["task"], one["item"]) == (kept["task"], kept["item"]))  # fmt: skip
    assert answer["answer"] == shown["answers"][0]
    again = browser.post("/api/pair", json=VOTER).json()
    assert (again["voted"], again["left"]) == (1, shown["left"] - 1)


def test_a_restart_goes_on_and_a_half_line_is_no_vote(store: Path) -> None:
    browser = client(store)
    shown = browser.post("/api/pair", json=VOTER).json()
    browser.post("/api/vote", json={**VOTER, "token": shown["token"], "choice": "tie"})
    with (store / "studies" / "quick" / "votes.jsonl").open("a") as lines:
        lines.write('{"vote": "x", "cho')  # the machine died
    browser = client(store)
    stale = browser.post("/api/vote", json={**VOTER, "token": "stale", "choice": "tie"})
    assert (stale.status_code, stale.json()) == (409, {"kept": False})
    shown = browser.post("/api/pair", json=VOTER).json()
    assert shown["voted"] == 1
    browser.post("/api/vote", json={**VOTER, "token": shown["token"], "choice": "bad"})
    assert [vote["choice"] for vote in votes(store)] == ["tie", "bad"]


def test_a_disk_that_refuses_is_said_and_the_vote_is_not_lost(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import errno
    import os

    browser = client(store)
    shown = browser.post("/api/pair", json=VOTER).json()
    vote = {**VOTER, "token": shown["token"], "choice": "right"}

    def full(*_: Any) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", full)
        failed = browser.post("/api/vote", json=vote)
    assert failed.status_code == 503
    assert "is full" in failed.json()["error"]
    assert votes(store) == []
    assert browser.post("/api/vote", json=vote).json() == {"kept": True}
    assert len(votes(store)) == 1


def test_until_nothing_is_left(store: Path) -> None:
    browser = client(store)
    total = browser.post("/api/pair", json=VOTER).json()["left"]
    for _ in range(total):
        shown = browser.post("/api/pair", json=VOTER).json()
        browser.post("/api/vote", json={**VOTER, "token": shown["token"], "choice": "tie"})
    last = browser.post("/api/pair", json=VOTER).json()
    assert last == {"done": True, "voted": total, "left": 0}


def test_votes_become_a_column_of_the_report(store: Path) -> None:
    browser = client(store)
    for number in range(60):
        voter = {"voter": f"voter-{number % 3}-abc"}
        shown = browser.post("/api/pair", json=voter).json()
        # These voters like long answers that are Korean.
        worth = [len(re.findall("[가-힣]", text)) for text in shown["answers"]]
        choice = "tie" if worth[0] == worth[1] else "left" if worth[0] > worth[1] else "right"
        browser.post("/api/vote", json={**voter, "token": shown["token"], "choice": choice})
    (panel,) = leaderboard(store, "quick").preferences
    assert (panel.judge, panel.comparisons, panel.voters, panel.items) == (None, 60, 3, 5)
    assert panel.recipes["base"].elo.value == 0
    assert panel.recipes["vicuna-lora"].elo.low > 0
    assert sum(one.wins for one in panel.recipes.values()) == sum(
        one.losses for one in panel.recipes.values()
    )


def test_votes_on_evaluations_that_are_gone_do_not_count(store: Path) -> None:
    browser = client(store)
    shown = browser.post("/api/pair", json=VOTER).json()
    browser.post("/api/vote", json={**VOTER, "token": shown["token"], "choice": "left"})
    path = store / "studies" / "quick" / "votes.jsonl"
    path.write_text(path.read_text().replace("evaluate-", "evaluate-gone"))
    assert panels(load(store, "quick")) == []


@pytest.mark.parametrize(
    "vote",
    [
        {"token": "x", "choice": "left", "voter": "short"},
        {"token": "x", "choice": "best", "voter": "someone-1"},
        {"token": "x", "choice": "left", "voter": "someone-1", "more": 1},
        {"token": "x" * 65, "choice": "left", "voter": "someone-1"},
        {"token": "x", "choice": "left", "voter": "someone-1", "seconds": -1},
    ],
)
def test_what_is_no_vote_is_refused(store: Path, vote: dict[str, Any]) -> None:
    assert client(store).post("/api/vote", json=vote).status_code == 422
    assert votes(store) == []


@pytest.mark.parametrize(
    "body",
    [
        b'{"voter": "someone-1", "token": "x", "choice": "left", "seconds": NaN}',
        b'{"voter": "someone-1", "token": "x", "choice": "left", "seconds": 1e999}',
        b'{"voter": "someone-1", "token": "x", "choice": "left", "seconds": -1e999}',
        b'{"voter": "someone-1", "token": "\\ud800", "choice": "left"}',
        b'{"voter": "someone-\\udfff", "token": "x", "choice": "left"}',
        b'{"voter": ' + b"[" * 3000,
        b'{"voter": ' + b"9" * 4000 + b"}",
        b'{"voter": "\xff"}',
        b"",
        b"[]",
        b"null",
    ],
)
def test_numbers_and_letters_that_are_none(store: Path, body: bytes) -> None:
    for path in ("/api/vote", "/api/pair"):
        sent = client(store).post(path, content=body, headers={"content-type": "application/json"})
        assert sent.status_code in (400, 422)
        assert len(sent.content) < 200
    assert votes(store) == []


def test_other_pages_cannot_reach_it(store: Path) -> None:
    browser = client(store)
    assert browser.get("/", headers={"host": "evil.example"}).status_code == 400
    form = browser.post("/api/pair", content='{"voter": "someone-1"}',
                        headers={"content-type": "text/plain"})  # fmt: skip
    assert form.status_code == 422


def test_the_page_runs_its_own_script_and_speaks_two_languages(store: Path) -> None:
    page = client(store).get("/")
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe-inline" not in policy.split("script-src")[1].split(";")[0]
    for both in texts(Path(arena.__file__).parent).values():
        assert set(both) == {"en", "ko"}
    assert "어느 답변이 더 나은가요?" in page.text
    assert "Which answer is better?" in page.text
