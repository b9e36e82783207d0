"""The engine: one thread that writes the texts of all clients of a model.

Texts share each step of a model with full attention: one joins between two steps, as soon as a row
is free, and its row is free again when it ends, so nobody waits for the texts of others to end.
Other models write one text after another.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import torch

from kollama2.errors import first_line
from kollama2.llama.generation import BASE, Decoder
from kollama2.llama.runtime import Llama
from kollama2.llama.sampling import nucleus
from kollama2.llama.talk import Talker
from kollama2.serve.row import Failed, Job, Row

# Models that write alone draw from torch's one stream of random numbers.
_ALONE = threading.Lock()


class Full(Exception):  # it tells no error of the program
    """No more texts may wait."""


class Engine:
    """Writes what is asked for, in the order of asking.

    Args:
        talker: the model.
        queue: how many texts may wait for a row.
        decoder: what writes several texts at once; None for that of a Llama, and one text at a
            time for other models.

    Attributes:
        batched: whether texts share steps.
        rows: how many texts are written at once.
        most: how many texts can be asked for at once.
        network: what computes: the model, of PEFT where it has adapters.
    """

    def __init__(self, talker: Talker, queue: int, decoder: Decoder | None = None) -> None:
        self._talkers, self._queue = {BASE: talker}, queue
        self.network = talker.model
        self._decoder = talker.decoder if isinstance(talker, Llama) else decoder
        self.batched = self._decoder is not None
        self.rows = 1 if self._decoder is None else self._decoder.rows
        self.most = self.rows + queue
        self._changed = threading.Condition()
        self._waiting: deque[Job] = deque()
        self._running: list[Row] = []
        self._closing = False
        self._thread = threading.Thread(target=self._work, name="engine", daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether it still works."""
        return self._thread.is_alive()

    @property
    def running(self) -> int:
        """Texts that are being written."""
        return len(self._running)

    @property
    def waiting(self) -> int:
        """Texts that wait for a row."""
        return len(self._waiting)

    @property
    def full(self) -> bool:
        """Whether nothing more may wait."""
        with self._changed:
            self._sweep()
            return len(self._waiting) >= self._queue + self._free()

    def adapt(self, name: str, talker: Talker, network: Any) -> None:
        """Write by an adapter too; to be called before anything is asked for.

        Args:
            name: of the adapter in `network`.
            talker: that of the engine, with the encoder of the adapter.
            network: the model with all of its adapters.
        """
        self._talkers[name], self.network = talker, network
        if self._decoder is not None:
            self._decoder.model = network

    def submit(self, jobs: Sequence[Job]) -> None:
        """Have texts written; all of them or none.

        Raises:
            Full: too many wait.
        """
        with self._changed:
            self._sweep()
            if len(self._waiting) + len(jobs) > self._queue + self._free():
                raise Full
            self._waiting += jobs
            self._changed.notify()

    def close(self) -> None:
        """End after the step that is being computed."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join()

    def _free(self) -> int:
        return max(0, self.rows - len(self._running))

    def _sweep(self) -> None:
        """Forget who has gone, and tell those whose turn did not come in time."""
        now = time.monotonic()
        for job in [job for job in self._waiting if job.gone or job.until <= now]:
            self._waiting.remove(job)
            job.heard(Failed("its turn did not come in time", late=True))

    def _work(self) -> None:
        with torch.inference_mode():
            batch = None if self._decoder is None else _Batch(self._decoder, self._talkers)
            work = self._alone if batch is None else batch.step
            while True:
                with self._changed:
                    while not (self._closing or self._waiting or self._running):
                        self._changed.wait()
                    self._sweep()
                    if self._closing:
                        return
                    new = [
                        self._waiting.popleft()
                        for _ in range(min(self._free(), len(self._waiting)))
                    ]
                    began = len(self._running)
                    self._running += [row for row in map(self._row, new) if row is not None]
                self._guarded(work, began)

    def _row(self, job: Job) -> Row | None:
        """The row of a job; None where there can be none, which it is told."""
        encoder = self._talkers[job.adapter].encoder
        try:
            return Row(job, encoder.tokenizer, encoder.stop_ids)
        except Exception as error:
            job.heard(_failed(error))
            return None

    def _guarded(self, work: Callable[[list[Row], int], None], began: int) -> None:
        """Do some work; where it fails, those it was for are told, and others may come."""
        try:
            work(self._running, began)
        except Exception as error:
            for row in self._running:
                if not row.done:  # its end was told already
                    row.job.heard(_failed(error))
            self._running.clear()

    def _alone(self, rows: list[Row], began: int) -> None:
        """Write a whole text."""
        for row in rows:
            job = row.job
            talker = self._talkers[job.adapter]
            with _ALONE, self._adapted(job.adapter):
                torch.manual_seed(row.seed)
                for token in talker.stream(job.prompt, job.most, job.temperature, job.top_p):
                    row.add(token)
                    if row.done or job.gone or job.until <= time.monotonic():
                        break
            if not row.done:
                row.end("length" if job.gone or job.until <= time.monotonic() else "stop")
        rows.clear()

    @contextmanager
    def _adapted(self, name: str) -> Iterator[None]:
        """The model with one of its adapters, or without any."""
        if name != BASE:
            self.network.set_adapter(name, inference_mode=True)
        alone = name == BASE and len(self._talkers) > 1
        with self.network.disable_adapter() if alone else nullcontext():
            yield


def _failed(error: Exception) -> Failed:
    return Failed(f"the model failed: {first_line(error)}")


class _Batch:
    """Rows that share a step; row `i` has row `i` of the cache."""

    def __init__(self, decoder: Decoder, adapters: Collection[str]) -> None:
        self._decoder, self._adapters = decoder, adapters
        self._logits = torch.empty(0)

    def step(self, rows: list[Row], began: int) -> None:
        """Read what is new, then write one token of each row.

        Those that end are taken out of the rows; those from `began` on are new.
        """
        if began == 0:
            self._logits = torch.empty(0, self._decoder.vocab, device=self._decoder.device)
        for slot in range(began, len(rows)):
            prompt, adapters = rows[slot].job.prompt, self._named(rows[slot : slot + 1])
            logits, _ = self._decoder.read([prompt], first=slot, adapters=adapters)
            self._logits = torch.cat([self._logits, logits.float()])
        tokens = chosen(self._logits, rows)
        for slot, row in enumerate(rows):
            row.add(tokens[slot], self._logits[slot])
            if not row.done and (row.job.gone or row.job.until <= time.monotonic()):
                row.end("length")
        for slot in reversed(range(len(rows))):
            if rows[slot].done:
                self._leave(rows, tokens, slot)
        if rows:
            ids = torch.tensor(tokens, device=self._decoder.device)
            positions = [row.position - 1 for row in rows]
            self._logits = self._decoder.step(ids, positions, self._named(rows)).float()

    def _named(self, rows: Sequence[Row]) -> list[str] | None:
        """The adapter of each row; None where there are none."""
        return [row.job.adapter for row in rows] if len(self._adapters) > 1 else None

    def _leave(self, rows: list[Row], tokens: list[int], slot: int) -> None:
        """Take a row out, and put the last in its place."""
        last = len(rows) - 1
        if slot < last:
            self._decoder.move(last, slot, rows[last].position - 1)
            rows[slot], tokens[slot] = rows[last], tokens[last]
        rows.pop()
        tokens.pop()


def chosen(logits: torch.Tensor, rows: Sequence[Row]) -> list[int]:
    """The next token of each row, by its own temperature, nucleus and random numbers.

    Args:
        logits: (rows, vocabulary).
        rows: whose texts they continue.
    """
    found = logits.argmax(-1)
    for whole in (True, False):  # a row's draw does not depend on the nucleus of another
        own = [
            at for at, row in enumerate(rows)
            if row.job.temperature > 0 and (row.job.top_p >= 1) == whole
        ]  # fmt: skip
        if own:
            heat = logits.new_tensor([rows[at].job.temperature for at in own])
            probs = torch.softmax(logits[own] / heat[:, None], dim=-1)
            drawn = torch.tensor([rows[at].drawn() for at in own], device=logits.device)
            if whole:
                found[own] = _inverse(probs, drawn)
            else:
                mass = logits.new_tensor([rows[at].job.top_p for at in own])
                kept, ids = nucleus(probs, mass)
                found[own] = ids.gather(-1, _inverse(kept, drawn)[:, None])[:, 0]
    return [int(one) for one in found.tolist()]


def _inverse(probs: torch.Tensor, drawn: torch.Tensor) -> torch.Tensor:
    """(rows,) places at which the summed probabilities pass a share of their sum."""
    sums = probs.cumsum(-1, dtype=torch.float64)
    places = torch.searchsorted(sums, (drawn * sums[:, -1])[:, None], right=True)
    return places[:, 0].clamp_(max=probs.shape[-1] - 1)
