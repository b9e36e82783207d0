"""Curricula: in which order training meets the rows of its sources. Pure; needs no torch.

A curriculum is a mixture over progress, given at knots and linear between them. It fixes how much
of each source is learned in all (the integral of its share), and each order of the curriculum
arranges exactly these rows, so that two orders differ in nothing but order.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import pairwise
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kollama2.data.mix import shuffled
from kollama2.errors import BadUsage

OrderName = Literal["forward", "reverse", "shuffled", "warmup10", "anneal-last"]
_WARMUP, _ANNEAL = 0.1, 0.2
_CELLS = 1024
_BINS = 40

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Curriculum:
    """A mixture over progress.

    Attributes:
        names: the sources.
        at: [knots], progress from 0 to 1, ascending; two equal ones are a sudden change.
        shares: [knots, sources], each row adds up to 1.
    """

    names: tuple[str, ...]
    at: tuple[float, ...]
    shares: tuple[tuple[float, ...], ...]

    def totals(self) -> Floats:
        """The share of each source in the whole, shape (sources,): the integral of its share."""
        table = np.array(self.shares)
        widths = np.diff(self.at)[:, None]
        whole: Floats = (widths * (table[1:] + table[:-1]) / 2).sum(axis=0)
        return whole

    def positions(self, source: int, sizes: Ints) -> Floats:
        """Where the rows of a source stand in [0, 1], so that its share is the density of its text.

        Args:
            source: number of the source.
            sizes: [rows], the size of each row in the order in which they are learned.
        """
        grid = np.unique(np.concatenate([np.linspace(0, 1, _CELLS + 1), self.at]))
        middle = (grid[1:] + grid[:-1]) / 2
        shares = [knot[source] for knot in self.shares]
        density = np.interp(middle, self.at, shares) * np.diff(grid)
        upto = np.concatenate([[0.0], np.cumsum(density)])
        wanted = (np.cumsum(sizes) - sizes / 2) / max(int(sizes.sum()), 1) * upto[-1]
        places: Floats = np.interp(wanted, upto, grid)
        return places


class Sizes(NamedTuple):
    """How much text a source holds."""

    tokens: float
    bytes: float
    ko_bytes: float


def curriculum(knots: Sequence[Mapping[str, float]]) -> Curriculum:
    """A curriculum from knots such as `[{"at": 0, "ko": 0.8, "en": 0.2}, {"at": 1, "ko": 1}]`.

    Args:
        knots: `at` and the share of each source there (0 where it is not named); shares are
            scaled to add up to 1. A single knot without `at` is the same mixture throughout.

    Raises:
        BadUsage: shares that are negative or all zero, or knots that do not go from 0 to 1.
    """
    if len(knots) == 1:
        alone = {name: share for name, share in knots[0].items() if name != "at"}
        knots = [{"at": 0, **alone}, {"at": 1, **alone}]
    names = tuple(dict.fromkeys(name for knot in knots for name in knot if name != "at"))
    at = tuple(float(knot.get("at", -1)) for knot in knots)
    if not knots or at[0] != 0 or at[-1] != 1 or any(a > b for a, b in pairwise(at)):
        raise BadUsage(f"the phases are at {list(at)}; they must rise from 0 to 1")
    rows = []
    for knot in knots:
        shares = [float(knot.get(name, 0)) for name in names]
        if min(shares, default=0) < 0 or sum(shares) <= 0:
            raise BadUsage(f"the phase {dict(knot)} needs shares of 0 or more, and one above 0")
        rows.append(tuple(share / sum(shares) for share in shares))
    made = Curriculum(names, at, tuple(rows))
    empty = [name for name, total in zip(names, made.totals(), strict=True) if total <= 0]
    if empty:
        raise BadUsage(f"the source {empty[0]!r} never has a share above 0; leave it out")
    return made


def wanted(
    plan: Curriculum, whole: Sequence[Sizes], size: int | None, korean: int | None, mix_by: str
) -> list[int]:
    """Bytes of text that a curriculum learns of each source, which may be more than there are.

    Args:
        plan: the mixture over progress.
        whole: what each source has in all.
        size: bytes of text in all, or
        korean: bytes of Hangul in all.
        mix_by: whether shares count "bytes" or "tokens".
    """
    shares = plan.totals()
    if mix_by == "tokens":
        shares = shares * [one.bytes / max(one.tokens, 1) for one in whole]
    shares = shares / shares.sum()
    total = float(size or 0)
    if korean is not None:
        hangul = [one.ko_bytes / max(one.bytes, 1) for one in whole]
        total = korean / max(float((shares * hangul).sum()), 1e-9)
    return [max(1, round(share * total)) for share in shares]


def take(sizes: Ints, wanted: int, seed: int, source: int) -> Ints:
    """Rows of a source that add up to an amount, whole rows only; a small source repeats.

    Args:
        sizes: [rows], the size of each row.
        wanted: how much to take; the last row may exceed it.
        seed: which rows.
        source: number of the source.

    Returns:
        Row numbers, one for each time that a row is learned. A row comes again only when every
        row has come as often.
    """
    order = shuffled(len(sizes), seed, source)
    epochs, rest = divmod(wanted, int(sizes.sum()))
    before = np.cumsum(sizes[order]) - sizes[order]
    return np.concatenate([*[order] * epochs, order[before < rest]])


def paced(count: int, start: float, seed: int, source: int) -> Ints:
    """From easy to hard with competence pacing: place k holds the rank of its difficulty.

    At progress t the rows are drawn from the easiest c(t) of them, with
    c(t) = min(1, √(t (1 - c0²) + c0²)) (Platanios et al. 2019, arXiv 1903.09848). Each row is
    drawn exactly once; c(t) ≥ t, so there is always one to draw.

    Args:
        count: rows.
        start: c0, the share of the easiest rows that training begins with.
        seed: decides between the rows that may be drawn.
        source: number of the source.
    """
    luck = np.empty(count, dtype=np.int64)
    luck[shuffled(count, seed, 1_000 + source)] = np.arange(count)
    found = np.empty(count, dtype=np.int64)
    ready: list[tuple[int, int]] = []
    known = 0
    for place in range(count):
        progress = (place + 1) / count
        level = min(1.0, (progress * (1 - start**2) + start**2) ** 0.5)
        while known < min(count, max(place + 1, round(level * count))):
            heappush(ready, (int(luck[known]), known))
            known += 1
        found[place] = heappop(ready)[1]
    return found


def arrange(
    plan: Curriculum,
    sizes: Sequence[Ints],
    order: OrderName,
    *,
    difficulty: Sequence[Floats | None] | None = None,
    start: float = 0.1,
    seed: int = 0,
) -> tuple[Ints, Ints]:
    """The order in which rows are learned: every row of every source exactly once.

    Args:
        plan: the mixture over progress.
        sizes: for each source the size of each row to learn, shape (rows,).
        order: `forward` follows the curriculum; `reverse` is its mirror image; `shuffled` has no
            order; `warmup10` follows it with a tenth of the rows and shuffles the rest after them;
            `anneal-last` shuffles, but keeps the source that the curriculum begins with for the
            last fifth.
        difficulty: of each row of each source; easy ones come first by competence pacing. Without
            it the rows of a source are in random order.
        start: competence at the beginning.
        seed: everything that is random.

    Returns:
        The source and the row within it for each place, two arrays of shape (rows in all,).
    """
    places, sources, rows = [], [], []
    first = int(np.argmax(plan.shares[0]))
    for source, size in enumerate(sizes):
        count = len(size)
        ranked = None if difficulty is None else difficulty[source]
        if ranked is None:
            queue = shuffled(count, seed, 2_000 + source)
        else:
            queue = np.argsort(ranked, kind="stable")[paced(count, start, seed, source)]
        luck = shuffled(count, seed, 3_000 + source)
        random = luck + np.random.Generator(np.random.Philox(key=[seed, source])).random(count)
        random /= max(count, 1)
        place = plan.positions(source, size[queue])
        if order == "reverse":
            place = 1 - place
        elif order == "shuffled":
            place = random
        elif order == "warmup10":
            early = np.arange(count) % 10 == 5
            place = np.where(early, _WARMUP * place, _WARMUP + (1 - _WARMUP) * random)
        elif order == "anneal-last":
            place = 1 - _ANNEAL * (1 - random) if source == first else random
        places.append(place)
        sources.append(np.full(count, source, dtype=np.int64))
        rows.append(queue)
    chain = np.argsort(np.concatenate(places), kind="stable")
    return np.concatenate(sources)[chain], np.concatenate(rows)[chain]


def preview(plan: Curriculum, order: OrderName) -> Floats:
    """The mixture that an order gives: the share of each source in each stretch of the text.

    Returns:
        Shape [40, sources], each row adds up to 1; measured on rows of equal size.
    """
    counts = np.maximum(1, np.round(plan.totals() * _BINS * 100)).astype(int)
    sources, _ = arrange(plan, [np.ones(n, dtype=np.int64) for n in counts], order)
    places = np.arange(len(sources)) * _BINS // len(sources)
    table: Floats = np.zeros((_BINS, len(counts)))
    np.add.at(table, (places, sources), 1.0)
    mixture: Floats = table / table.sum(axis=1, keepdims=True)
    return mixture
