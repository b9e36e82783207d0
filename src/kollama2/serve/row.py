"""One continuation while it is written: ids to text, to where it ends."""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import torch

from kollama2.llama.generation import BASE
from kollama2.llama.spell import Speller
from kollama2.model.tokenizer import Tokenizer

Reason = Literal["stop", "length", "content_filter"]
_SEEDS = 1 << 63


@dataclass(frozen=True, slots=True)
class Token:
    """A token that was written.

    Attributes:
        text: of the token alone; a part of a character is U+FFFD.
        logprob: natural logarithm of its probability by the raw logits.
        top: the most probable tokens in its place with theirs, in falling order.
    """

    text: str
    logprob: float
    top: tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True)
class Piece:
    """More of a text.

    Attributes:
        text: what is new.
        count: tokens so far.
        tokens: those since the last piece, where log-probabilities are wanted.
    """

    text: str
    count: int
    tokens: tuple[Token, ...] = ()


@dataclass(frozen=True, slots=True)
class End:
    """A text has ended after so many tokens."""

    reason: Reason
    tokens: int


@dataclass(frozen=True, slots=True)
class Failed:
    """There will be no more of a text.

    Attributes:
        late: its turn did not come in time.
        upstream: another server failed; otherwise the model did.
    """

    why: str
    late: bool = False
    upstream: bool = False


Event = Piece | End | Failed


@dataclass(slots=True)
class Job:
    """One continuation that is wanted.

    Attributes:
        prompt: ids that are continued.
        most: new tokens at most; those that fit the model's context.
        heard: called with every event, in the thread of the engine; the last one, and no other,
            is an `End` or `Failed`.
        temperature: 0 is greedy.
        top_p: mass of the nucleus.
        seed: of sampling; None for one that nobody knows.
        stops: texts that end the continuation and are no part of it.
        top: how many alternatives to tell of each token; None for no log-probabilities.
        before: ids in front of the text, which then keeps its first space; an answer has none.
        until: when it is to be done, by `time.monotonic`.
        adapter: which of the engine's adapters writes it; `BASE` is none.
        gone: nobody waits for it any more.
    """

    prompt: list[int]
    most: int
    heard: Callable[[Event], None]
    temperature: float = 1.0
    top_p: float = 1.0
    seed: int | None = None
    stops: tuple[str, ...] = ()
    top: int | None = None
    before: Sequence[int] = ()
    until: float = float("inf")
    adapter: str = BASE
    gone: bool = field(default=False, compare=False)


class Row:
    """A job that is being written.

    Attributes:
        position: of the next token in the sequence.
        done: whether it has ended.
    """

    def __init__(self, job: Job, tokenizer: Tokenizer, stop_ids: Sequence[int]) -> None:
        self.job, self.position, self.done = job, len(job.prompt), False
        self._tokenizer, self._stop_ids = tokenizer, stop_ids
        self._speller = Speller(tokenizer, job.before)
        self._started, self._held, self._count = bool(job.before), "", 0
        self._tokens: list[Token] = []
        self.seed = (secrets.randbits(63) if job.seed is None else job.seed) % _SEEDS
        self._generator = torch.Generator().manual_seed(self.seed)

    def add(self, token: int, logits: torch.Tensor | None = None) -> None:
        """Take in the next token and say what it finishes.

        Args:
            token: its id.
            logits: (vocabulary,) that it was chosen by, where log-probabilities are wanted.
        """
        if token in self._stop_ids:
            self.end("stop")
            return
        self._count += 1
        self.position += 1
        if logits is not None and self.job.top is not None:
            self._tokens.append(self._token(token, logits, self.job.top))
        if not self._say(self._speller.add(token)) and self._count >= self.job.most:
            self.end("length")

    def drawn(self) -> float:
        """The row's next random number, of [0, 1)."""
        return float(torch.rand((), generator=self._generator, dtype=torch.float64))

    def end(self, reason: Reason) -> None:
        """Say what was held back, and that it has ended."""
        if self._say(self._speller.end()):
            return
        if self._held or self._tokens:
            self._tell(self._held)
        self._finish(reason)

    def _say(self, new: str) -> bool:
        """Say new text up to a stop text; whether there was one.

        What may be the beginning of a stop text is held back.
        """
        if not self._started:
            new = new.lstrip()
            self._started = bool(new)
        text = self._held + new
        found = [at for at in map(text.find, self.job.stops) if at >= 0]
        if found:
            self._tell(text[: min(found)])
            self._finish("stop")
            return True
        keep = max((_beginning(text, stop) for stop in self.job.stops), default=0)
        self._held = text[len(text) - keep :]
        if said := text[: len(text) - keep]:
            self._tell(said)
        return False

    def _tell(self, text: str) -> None:
        if text or self._tokens:
            self.job.heard(Piece(text, self._count, tuple(self._tokens)))
            self._tokens = []

    def _finish(self, reason: Reason) -> None:
        self.done = True
        self.job.heard(End(reason, self._count))

    def _token(self, token: int, logits: torch.Tensor, top: int) -> Token:
        logprobs = logits.float().log_softmax(-1)
        values, ids = logprobs.topk(min(top, len(logprobs)))
        names = [self._name(one) for one in ids.tolist()]
        return Token(
            self._name(token),
            float(logprobs[token]),
            tuple(zip(names, values.tolist(), strict=True)),
        )

    def _name(self, token: int) -> str:
        """The text of a token inside of a text, with the space that it may begin with."""
        return self._tokenizer.decode([token] * 2)[len(self._tokenizer.decode([token])) :]


def _beginning(text: str, stop: str) -> int:
    """How many characters at the end of a text begin a stop text."""
    for length in range(min(len(stop) - 1, len(text)), 0, -1):
        if text.endswith(stop[:length]):
            return length
    return 0
