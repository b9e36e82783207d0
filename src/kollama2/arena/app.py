"""The page of the blind comparison: two anonymous answers, a vote, the next two."""

import random
import secrets
import socket
import threading
from collections import OrderedDict
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from kollama2.arena.pairs import Answers, Ballot, Pair, answers, votes_file
from kollama2.errors import Fault, storage, visible
from kollama2.evaluation.journal import append, entries
from kollama2.pages.page import page
from kollama2.reporting.study import Study
from kollama2.web import LOOPBACK, Gate, local_names, run

if TYPE_CHECKING:
    from fastapi import FastAPI

OPEN = 10_000  # pairs that are shown and not voted on yet
LONGEST = 8_000  # characters of an answer that the page shows


class Ask(BaseModel):
    """A voter wants a pair; the browser makes the name up and keeps it."""

    model_config = ConfigDict(extra="forbid")

    voter: str = Field(pattern=r"^[\w-]{8,64}$")


class Vote(Ask):
    """A vote on the pair behind a token; `seconds` is how long the page was looked at."""

    token: str = Field(max_length=64)
    choice: Literal["left", "right", "tie", "bad"]
    seconds: float | None = Field(None, ge=0, le=86_400)


class Arena:
    """The state of one arena: what was voted, and the pairs that are on somebody's screen.

    Args:
        study: whose answers are compared.
        rng: decides sides and ties.
    """

    def __init__(self, study: Study, rng: random.Random | None = None) -> None:
        self.study = study
        self._answers: Answers = answers(study)
        self._file = votes_file(study)
        votes = entries(self._file)
        self._ballot = Ballot(self._answers.pairs(), votes, rng or random.SystemRandom())
        self._open: OrderedDict[str, Pair] = OrderedDict()
        self._voted = {str(vote.get("vote")) for vote in votes}
        self._lock = threading.Lock()

    def show(self, voter: str) -> dict[str, Any]:
        """The next pair for a voter; nothing in it tells which recipe is which."""
        with self._lock:
            pair = self._ballot.next(voter)
            state = {"voted": len(self._voted), "left": self._ballot.left_for(voter)}
            if pair is None:
                return {"done": True, **state}
            token = secrets.token_urlsafe(18)
            self._open[token] = pair
            while len(self._open) > OPEN:
                self._open.popitem(last=False)
        sample = self._answers.prompts[pair.task, pair.item]
        shown = [self._answers.text(one, pair) for one in (pair.left, pair.right)]
        return {
            "done": False,
            "token": token,
            "prompt": visible(sample.prompt),
            "answers": [visible(text[:LONGEST]) for text in shown],
            **state,
        }

    def vote(self, vote: Vote) -> Literal["kept", "unknown"]:
        """Keep a vote; when this returns `kept`, it is on the disk. Twice is once.

        Raises:
            TryLater, Denied, StorageTrouble: the vote cannot be written.
        """
        with self._lock:
            if vote.token in self._voted:
                return "kept"
            pair = self._open.get(vote.token)
            if pair is None:
                return "unknown"
            record = {
                "vote": vote.token,
                "time": datetime.now(timezone.utc).isoformat(timespec="seconds"),
                "voter": vote.voter,
                "task": pair.task,
                "item": pair.item,
                "left": pair.left,
                "right": pair.right,
                "choice": vote.choice,
                "seconds": vote.seconds,
            }
            with storage(self._file):
                append(self._file, record)
            del self._open[vote.token]
            self._voted.add(vote.token)
            self._ballot.count(pair, vote.voter)
            return "kept"


def create(
    arena: Arena, hosts: tuple[str, ...] | None = LOOPBACK, token: str | None = None
) -> "FastAPI":
    """The web application; `hosts` and `token` as in `web.Gate`."""
    from fastapi import FastAPI, Request
    from fastapi.exceptions import RequestValidationError
    from fastapi.responses import HTMLResponse, JSONResponse

    app = FastAPI(title="kollama2 arena", docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(Gate, hosts=hosts, token=token)
    shown = page(Path(__file__).parent, "arena", study=arena.study.name)

    @app.get("/")
    def index() -> HTMLResponse:
        return HTMLResponse(shown.html, headers=shown.headers)

    @app.post("/api/pair")
    def pair(ask: Ask) -> dict[str, Any]:
        return arena.show(ask.voter)

    @app.post("/api/vote")
    def vote(given: Vote) -> JSONResponse:
        kept = arena.vote(given) == "kept"
        return JSONResponse({"kept": kept}, status_code=200 if kept else 409)

    @app.exception_handler(Fault)
    def failed(request: Request, fault: Exception) -> JSONResponse:
        return JSONResponse({"error": str(fault)}, status_code=503)

    @app.exception_handler(RequestValidationError)
    def unreadable(request: Request, error: Exception) -> JSONResponse:
        # What was sent is not repeated: NaN, infinity and halves of characters cannot be.
        return JSONResponse({"error": "this is no request of the page"}, status_code=422)

    return app


def serve(study: Study, listening: socket.socket, token: str | None) -> None:
    """Serve the arena until it is interrupted; a token means that anyone may be the host's name."""
    run(create(Arena(study), None if token else local_names(listening), token), listening)
