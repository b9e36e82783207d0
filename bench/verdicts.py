"""Do the verdicts hold? Family-wise error, power and coverage of `evaluation.inference`, simulated.

    python bench/verdicts.py [--studies 1000] [--recipes 2 8 45] [--seeds 1 2 3 5] [--json]

A study has an untouched base and recipes that are truly equal to it. An item moves all models
alike, each training answers it otherwise, and a whole training is better or worse by its seed:
`ratio` is the standard deviation of that, in standard errors of one training's score over items.
A gain is then given to one recipe as large as the study says that it would find. Beside ours stands
what is usually done: each recipe's own variance, normal tails and Holm's correction.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator
from functools import partial
from itertools import product
from multiprocessing import Pool
from typing import NamedTuple

import numpy as np
from scipy.stats import norm

from kollama2.evaluation.error import ALPHA
from kollama2.evaluation.inference import FEWEST, Errors, Table
from kollama2.evaluation.seeds import Floats

RATIOS = (0, 1, 3, 10, 30)
ITEMS = (8, 12, 20, 40, 300)
DRAWS = 1_000
STATED = 200  # studies whose statement of what they would find makes the median
WANTED = 0.93


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
    """What came of many studies of one world, as shares of them.

    Attributes:
        pairs: with a false pair; `base`: with a false difference to the base.
        power: that found a gain of the median size that they state.
        usual, usual_power: of `base` and `power` with normal tails and Holm's correction, which is
            to be compared only where it keeps its error.
        coverage: whose interval of the base's score holds the truth; `versus` of a difference.
    """

    world: World
    pairs: float | None
    base: float | None
    power: float | None
    usual: float | None
    usual_power: float | None
    coverage: float
    versus: float


def study(world: World, rng: np.random.Generator, gain: float = 0.0) -> tuple[list[Table], float]:
    """The tables of one study, the base last, and the true score of its recipes."""
    items = rng.standard_normal(world.items)
    tables = []
    for recipe in range(world.recipes + 1):
        trained = recipe < world.recipes
        shape = (world.seeds if trained else 1, world.items)
        answers = _answers(world.kind, items, rng, shape)
        if trained:
            scatter = world.ratio * _SCATTER[world.kind] / np.sqrt(world.items)
            scatter *= world.uneven if recipe % 2 else 1.0
            answers = answers + rng.standard_normal((world.seeds, 1)) * scatter
        if recipe == 0:
            answers = answers + gain
        tables.append((answers, np.ones(shape)))
    return tables, _TRUTH[world.kind]


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


def usual(tables: list[Table]) -> Floats:
    """p-values of the recipes against the base, with normal tails and Holm's correction."""
    reference = tables[-1][0].mean(axis=0)
    p = []
    for answers, _ in tables[:-1]:
        delta = answers.mean(axis=0) - reference
        variance = delta.var(ddof=1) / len(delta)
        if len(answers) > 1:
            variance += answers.mean(axis=1).var(ddof=1) / len(answers)
        p.append(2 * norm.sf(abs(delta.mean()) / np.sqrt(variance)))
    order = np.argsort(p)
    adjusted: Floats = np.empty(len(p))
    steps = np.array(p)[order] * (len(p) - np.arange(len(p)))
    adjusted[order] = np.maximum.accumulate(steps)
    return adjusted


def simulate(world: World, studies: int) -> Row:
    """Many studies of one world."""
    rng = np.random.default_rng([round(10 * one) for one in world[:4]])
    varies = [True] * world.recipes + [False]
    base = world.recipes
    pairs = [(left, right) for right in range(base + 1) for left in range(right)]
    to_base = [(one, base) for one in range(base)]
    verdict = world.seeds > 1 and world.items >= FEWEST
    false_pairs = false_base = false_usual = covered = covers = 0
    stated = list[float]()
    for number in range(studies):
        tables, truth = study(world, rng)
        errors = Errors(tables, varies, draws=DRAWS, seed=number)
        if verdict:
            every, versus = errors.family(pairs), errors.family(to_base)
            false_pairs += min(one.p_adjusted for one in every) < ALPHA
            false_base += min(one.p_adjusted for one in versus) < ALPHA
            if len(stated) < STATED:
                stated.append(errors.detectable(to_base)[0])
            false_usual += usual(tables).min() < ALPHA
        score = errors.score(base)
        share = world.kind == "share"
        low, high = score.proportion() if share else score.interval()
        covered += low <= truth <= high
        if verdict:
            low, high = errors.difference(0, base).interval()
            covers += low <= 0 <= high
    found = found_usual = 0
    if verdict:
        gain = float(np.median(stated))
        for number in range(studies):
            tables, _ = study(world, rng, gain)
            versus = Errors(tables, varies, draws=DRAWS, seed=number).family(to_base)
            found += versus[0].p_adjusted < ALPHA
            found_usual += usual(tables)[0] < ALPHA
    counted = (false_pairs, false_base, found, false_usual, found_usual)
    of_pairs, of_base, power, of_usual, usual_power = (
        count / studies if verdict else None for count in counted
    )
    of_versus = covers / studies if verdict else float("nan")
    return Row(world, of_pairs, of_base, power, of_usual, usual_power, covered / studies, of_versus)


def worlds(arguments: argparse.Namespace) -> Iterator[World]:
    for recipes, seeds in product(arguments.recipes, arguments.seeds):
        for items, ratio in product(arguments.items, arguments.ratios):
            yield World(recipes, seeds, ratio, items, arguments.kind, arguments.uneven)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--studies", type=int, default=1_000)
    parser.add_argument("--recipes", type=int, nargs="+", default=[2, 8, 45])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3, 5])
    parser.add_argument("--items", type=int, nargs="+", default=ITEMS)
    parser.add_argument("--ratios", type=float, nargs="+", default=RATIOS)
    parser.add_argument("--kind", choices=sorted(_TRUTH), default="normal")
    parser.add_argument("--uneven", type=float, default=1.0)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    started = time.perf_counter()
    margin = 2 * np.sqrt(ALPHA * (1 - ALPHA) / arguments.studies)
    failed = 0
    if not arguments.json:
        print(
            "| recipes | seeds | ratio | items | false pair | false to base | power "
            "| usual: false | power | coverage | of differences |\n" + "|--:" * 11 + "|"
        )
    with Pool(arguments.jobs) as pool:
        one = partial(simulate, studies=arguments.studies)
        for row in pool.imap(one, worlds(arguments)):
            failed += max(row.pairs or 0, row.base or 0) > ALPHA + margin
            if arguments.json:
                print(json.dumps({**row.world._asdict(), **row._asdict(), "world": None}))
                continue
            shown = ["–" if value is None else f"{value:.3f}" for value in row[1:]]
            world = row.world
            print(f"| {world.recipes} | {world.seeds} | {world.ratio:g} | {world.items} | "
                  + " | ".join(shown) + " |", flush=True)  # fmt: skip
    print(f"{failed} worlds above {ALPHA + margin:.3f}; {time.perf_counter() - started:.0f} s",
          file=sys.stderr)  # fmt: skip
    return failed > 0


if __name__ == "__main__":
    main()
