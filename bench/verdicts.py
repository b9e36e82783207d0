"""Do the verdicts hold? Family-wise error, power and coverage of `evaluation.inference`, simulated.

    python bench/verdicts.py [--simulations 1000] [--recipes 2 8 45] [--seeds 1 2 3 5] [--out FILE]

A study has an untouched base and recipes that are truly equal to it. An item moves all models
alike, each training answers it otherwise, and a whole training is better or worse by its seed:
`ratio` is the standard deviation of that, in standard errors of one training's score over items.
Then one recipe is given a gain: once as large as this very study states that it would find (`power`
is the share that finds it), once as large as the median study states (`fixed`: other studies state
less or more). Beside ours stands what is usually done: each recipe's own variance, normal tails and
Holm's correction, whose power is compared (`gap`) where it keeps its error.

`--out` keeps a line of JSON for each world, and those that are there are not computed again.
"""

import argparse
import copy
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial
from itertools import groupby, product
from multiprocessing import Pool
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.stats import norm

from kollama2.evaluation.error import ALPHA, POWER
from kollama2.evaluation.inference import FEWEST, Errors, Table
from kollama2.evaluation.seeds import Floats

RATIOS = (0, 1, 3, 10, 30)
ITEMS = (8, 12, 20, 40, 300)
DRAWS = 1_000
SIGNS = (
    16  # tables of signs that studies share; their chance moves an error of .05 by .0017 or less
)
FEW = 40  # items below which a study states up to 4 % more once it has the gain
STATED = 100  # studies whose statement of what they would find makes the median
WORST = 5
COVERED, NEAR, BEHIND = 0.93, 0.04, 0.05


class World(NamedTuple):
    """What studies are simulated.

    Attributes:
        kind: of an answer's scatter: "normal", "heavy" (Student's t of 3), "skewed" (lognormal) or
            "share" (right or wrong).
        uneven: how many times the seeds of every second recipe scatter as those of the others.
    """

    recipes: int
    seeds: int
    ratio: float
    items: int
    kind: str = "normal"
    uneven: float = 1.0


class Row(NamedTuple):
    """What came of many studies of one world, as shares of them; NaN where no verdict is given.

    Attributes:
        pairs: with a false pair; `base`: with a false difference to the base.
        power: that found a gain of the size that they state.
        fixed: that found a gain of the size that the median study states.
        usual, usual_power: of `base` and `fixed` with normal tails and Holm's correction.
        coverage: whose interval of the base's score holds the truth; `versus` of a difference.
    """

    pairs: float
    base: float
    power: float
    fixed: float
    usual: float
    usual_power: float
    coverage: float
    versus: float


class Study(Errors):
    """The errors of a study, by signs that many studies share."""

    def _signs(self, rng: np.random.Generator, draws: int) -> Floats:
        signs = _signs(draws, self.clusters, int(rng.integers(SIGNS)))
        self._turned = signs.mean(axis=1)
        return signs

    def given(self, gain: float) -> "Study":
        """This study with a gain in every answer of the first recipe: all else stays."""
        given = copy.copy(self)
        given.point, given._whole = self.point.copy(), self._whole.copy()
        given._drawn_whole = self._drawn_whole.copy()
        given.point[0] += gain
        given._whole[0] += gain
        given._drawn_whole[0] += gain * self._turned
        return given


@cache
def _signs(draws: int, clusters: int, number: int) -> Floats:
    return 2.0 * np.random.default_rng(number).integers(0, 2, (draws, clusters)) - 1


def answers(world: World, rng: np.random.Generator) -> list[Table]:
    """The tables of one study, the base last."""
    items = rng.standard_normal(world.items)
    tables = []
    for recipe in range(world.recipes + 1):
        trained = recipe < world.recipes
        shape = (world.seeds if trained else 1, world.items)
        found = _answers(world.kind, items, rng, shape)
        if trained:
            scatter = world.ratio * _SCATTER[world.kind] / np.sqrt(world.items)
            scatter *= world.uneven if recipe % 2 else 1.0
            found = found + rng.standard_normal((world.seeds, 1)) * scatter
        tables.append((found, np.ones(shape)))
    return tables


_TRUTH = {"normal": 0.0, "heavy": 0.0, "skewed": float(np.exp(0.125)), "share": 0.5}
_SCATTER = {"normal": 1.0, "heavy": 1.0, "skewed": 0.6, "share": 0.4}


def _answers(kind: str, items: Floats, rng: np.random.Generator, shape: tuple[int, int]) -> Floats:
    if kind == "share":
        return (rng.random(shape) < 1 / (1 + np.exp(-1.5 * items))).astype(float)
    if kind == "skewed":
        return np.exp(0.5 * (items + rng.standard_normal(shape)) / np.sqrt(2))
    if kind == "heavy":
        return items + rng.standard_t(3, shape) / np.sqrt(3)
    return items + rng.standard_normal(shape)


def usual(tables: Sequence[Table], gain: float = 0.0) -> Floats:
    """p-values of the recipes against the base, with normal tails and Holm's correction."""
    found = np.stack([one for one, _ in tables[:-1]])
    _, seeds, items = found.shape
    delta = found.mean(axis=1) - tables[-1][0].mean(axis=0)
    variance = delta.var(axis=1, ddof=1) / items
    if seeds > 1:
        variance += found.mean(axis=2).var(axis=1, ddof=1) / seeds
    value = delta.mean(axis=1)
    value[0] += gain
    p = 2 * norm.sf(np.abs(value) / np.sqrt(variance))
    order = np.argsort(p)
    adjusted: Floats = np.empty(len(p))
    adjusted[order] = np.maximum.accumulate(p[order] * (len(p) - np.arange(len(p))))
    return adjusted


def studies(world: World, count: int, stream: int) -> Iterator[tuple[list[Table], Study]]:
    rng = np.random.default_rng([stream, *(round(10 * one) for one in world[:4])])
    varies = [True] * world.recipes + [False]
    for number in range(count):
        tables = answers(world, rng)
        yield tables, Study(tables, varies, draws=DRAWS, seed=number)


def simulate(world: World, simulations: int) -> Row:
    """Many studies of one world."""
    base = world.recipes
    pairs = [(left, right) for right in range(base + 1) for left in range(right)]
    to_base = [(one, base) for one in range(base)]
    verdict = world.seeds > 1 and world.items >= FEWEST
    stated = [
        study.family(to_base)[0].mde
        for _, study in studies(world, STATED if verdict else 0, stream=1)
    ]
    median = float(np.median(stated)) if stated else 0.0
    counted = np.zeros(len(Row._fields))
    for tables, study in studies(world, simulations, stream=0):
        score, versus = study.score(base), study.difference(0, base)
        low, high = score.proportion() if world.kind == "share" else score.interval()
        covered = low <= _TRUTH[world.kind] <= high
        if not verdict:
            counted += [np.nan] * 6 + [covered, np.nan]
            continue
        every, each = study.family(pairs), study.family(to_base)
        low, high = versus.interval()
        own = each[0].mde
        for _ in range(2 if world.items < FEW else 0):
            own = study.given(own).family(to_base)[0].mde
        counted += [
            min(one.p_adjusted for one in every) < ALPHA,
            min(one.p_adjusted for one in each) < ALPHA,
            study.given(own).family(to_base)[0].p_adjusted < ALPHA,
            study.given(median).family(to_base)[0].p_adjusted < ALPHA,
            usual(tables).min() < ALPHA,
            usual(tables, median)[0] < ALPHA,
            covered,
            low <= 0 <= high,
        ]
    return Row(*(counted / simulations).tolist())


def worlds(arguments: argparse.Namespace) -> Iterator[World]:
    for recipes, seeds in product(arguments.recipes, arguments.seeds):
        for items, ratio in product(arguments.items, arguments.ratios):
            yield World(recipes, seeds, float(ratio), items, arguments.kind, arguments.uneven)


def computed(arguments: argparse.Namespace) -> Iterator[tuple[World, Row]]:
    """The rows of all worlds, of which those in the file are read and others are added to it."""
    kept = dict[World, Row]()
    if arguments.out and arguments.out.exists():
        for line in map(json.loads, arguments.out.read_text().splitlines()):
            if line.pop("simulations") == arguments.simulations:
                kept[World(*(line[one] for one in World._fields))] = Row(
                    *(np.nan if line[one] is None else line[one] for one in Row._fields)
                )
    wanted = list(worlds(arguments))
    left = [one for one in wanted if one not in kept]
    with Pool(arguments.jobs) as pool:
        one = partial(simulate, simulations=arguments.simulations)
        found = zip(left, pool.imap(one, left), strict=True)
        for world in wanted:
            if world in kept:
                yield world, kept[world]
                continue
            row = next(found)[1]
            if arguments.out:
                with arguments.out.open("a") as file:
                    file.write(line_of(world, row, arguments.simulations) + "\n")
            yield world, row


def line_of(world: World, row: Row, simulations: int) -> str:
    known = {name: None if np.isnan(one) else one for name, one in row._asdict().items()}
    return json.dumps({**world._asdict(), "simulations": simulations, **known})


def failures(row: Row, simulations: int) -> dict[str, float]:
    """By how much a world fails each demand, in its own unit; what is not positive holds."""
    limit = ALPHA + 2 * np.sqrt(ALPHA * (1 - ALPHA) / simulations)
    valid = row.usual <= limit
    return {
        "false": max(row.pairs, row.base) - limit,
        "power": abs(row.power - POWER) - NEAR,
        "coverage": COVERED - row.coverage,
        "versus": COVERED - row.versus,
        "gap": row.usual_power - row.fixed - BEHIND if valid else np.nan,
    }


def table(rows: Sequence[tuple[World, Row]], simulations: int) -> str:
    """One line for each number of recipes and of seeds, then the worst worlds of each demand."""
    said = [
        "| recipes × seeds | worlds | false pair: mean, most | false to base | power: least, mean, "
        "most | fixed | usual: false | gap where that holds | coverage, of differences |",
        "|---|" + "--:|" * 8,
    ]
    for (recipes, seeds), group in groupby(rows, key=lambda one: one[0][:2]):
        each = [row for _, row in group]
        of = {name: np.array([getattr(row, name) for row in each]) for name in Row._fields}
        valid = of["usual"] <= ALPHA + 2 * np.sqrt(ALPHA * (1 - ALPHA) / simulations)
        gap = (of["fixed"] - of["usual_power"])[valid]
        cells = [
            _shown(of["pairs"], np.mean, np.max),
            _shown(of["base"], np.mean, np.max),
            _shown(of["power"], np.min, np.mean, np.max),
            _shown(of["fixed"], np.min, np.mean, np.max),
            _shown(of["usual"], np.min, np.max),
            f"{_shown(gap, np.min, np.mean)} ({len(gap)})",
            f"{_shown(of['coverage'], np.min)}, {_shown(of['versus'], np.min)}",
        ]
        said.append(f"| {recipes} × {seeds} | {len(each)} | " + " | ".join(cells) + " |")
    for name in failures(rows[0][1], simulations):
        by = [(failures(row, simulations)[name], world, row) for world, row in rows]
        by = sorted((one for one in by if not np.isnan(one[0])), key=lambda one: -one[0])
        said.append(f"\n{name}: {sum(one[0] > 1e-9 for one in by)} of {len(by)} worlds fail; worst")
        for _, world, row in by[:WORST]:
            about = ", ".join(f"{key} {one:.3f}" for key, one in row._asdict().items())
            said.append(f"  {world.recipes} × {world.seeds}, ratio {world.ratio:g}, "
                        f"{world.items} items: {about}")  # fmt: skip
    return "\n".join(said)


def _shown(values: Floats, *what: Callable[[Floats], float]) -> str:
    known = values[~np.isnan(values)]
    return ", ".join(f"{one(known):.3f}" for one in what) if len(known) else "–"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--simulations", type=int, default=1_000, help="studies of each world")
    parser.add_argument("--recipes", type=int, nargs="+", default=[2, 8, 45])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3, 5])
    parser.add_argument("--items", type=int, nargs="+", default=ITEMS)
    parser.add_argument("--ratios", type=float, nargs="+", default=RATIOS)
    parser.add_argument("--kind", choices=sorted(_TRUTH), default="normal")
    parser.add_argument("--uneven", type=float, default=1.0)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--out", type=Path, help="JSON lines to keep worlds in and to go on from")
    parser.add_argument("--json", action="store_true", help="print a line of JSON for each world")
    arguments = parser.parse_args()
    started, rows = time.perf_counter(), list[tuple[World, Row]]()
    for world, row in computed(arguments):
        rows.append((world, row))
        if arguments.json:
            print(line_of(world, row, arguments.simulations), flush=True)
        else:
            print(f"{len(rows)} worlds, {time.perf_counter() - started:.0f} s", file=sys.stderr)
    if not arguments.json:
        print(table(rows, arguments.simulations))
    failed = [margin for _, row in rows for margin in failures(row, arguments.simulations).values()]
    return any(margin > 1e-9 for margin in failed)


if __name__ == "__main__":
    sys.exit(main())
