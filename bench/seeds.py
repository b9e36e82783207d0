"""Does one seed decide? The tiers of a study again, with each seed left out and each replaced.

    python bench/seeds.py STUDY [--store runs] [--measure NAME]

Two recipes are in order where they are separable. A change of seeds reorders them if they are then
separable the other way round, and loses them if they are no longer separable; both are counted
over all pairs. A seed is replaced by another one of the study, which stands for what a new training
could have been.
"""

import argparse
import json
from itertools import permutations
from pathlib import Path
from typing import NamedTuple

from kollama2.evaluation.statistics import Comparison, family
from kollama2.records.items import Items, load_items
from kollama2.records.measures import measure
from kollama2.reporting.study import load


class Change(NamedTuple):
    """What a change of seeds does to the pairs that were separable with all seeds."""

    seeds: str
    tiers: dict[str, str]
    kept: int
    lost: list[str]
    reordered: list[str]


def changes(store: Path, study: str, name: str | None) -> list[Change]:
    """All seeds first, then each left out, then each replaced by each other one."""
    found = load(store, study)
    name = name or found.lock.primary
    records: dict[str, dict[int, Items]] = {}
    for cell in found.cells:
        if cell.done:
            items = load_items(found.store / cell.evaluate / "items.jsonl")
            if name in items:
                records.setdefault(cell.recipe, {})[cell.seed] = items[name]
    seeds = sorted({seed for each in records.values() for seed in each})
    settings = [
        ("all", seeds),
        *((f"without {one}", [seed for seed in seeds if seed != one]) for one in seeds),
        *(
            (f"{one} replaced by {other}", [other if seed == one else seed for seed in seeds])
            for one, other in permutations(seeds, 2)
        ),
    ]
    base = found.recipes[0]
    higher = measure(name).higher
    assert higher is not None, f"nobody declares which direction of {name} is better"
    rows: list[Change] = []
    first: Comparison | None = None
    for label, kept in settings:
        # What no seed changes (the base and its copy) has one record.
        chosen = {
            recipe: [each[seed] for seed in kept if seed in each] or list(each.values())
            for recipe, each in records.items()
        }
        now = family(chosen, base, higher)
        first = first or now
        rows.append(_change(label, first, now))
    return rows


def _change(label: str, first: Comparison, now: Comparison) -> Change:
    later = {(one.left, one.right): one for one in now.pairs}
    kept, lost, reordered = 0, [], []
    for pair in first.pairs:
        if not pair.separable:
            continue
        other = later[pair.left, pair.right]
        names = f"{pair.left}/{pair.right}"
        if not other.separable:
            lost.append(names)
        elif (other.value > 0) == (pair.value > 0):
            kept += 1
        else:
            reordered.append(names)
    return Change(label, {one.name: one.tier for one in now.standings}, kept, lost, reordered)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("study")
    parser.add_argument("--store", type=Path, default=Path("runs"))
    parser.add_argument("--measure", help="the study's primary one if not given")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    rows = changes(arguments.store, arguments.study, arguments.measure)
    if arguments.json:
        print(json.dumps([row._asdict() for row in rows], ensure_ascii=False, indent=2))
        return
    print("| seeds | tiers, best first | kept | lost | reordered |")
    print("|---|---|--:|---|---|")
    for row in rows:
        tiers = ", ".join(f"{name} {tier}" for name, tier in row.tiers.items())
        lost, reordered = (", ".join(one) or "–" for one in (row.lost, row.reordered))
        print(f"| {row.seeds} | {tiers} | {row.kept} | {lost} | {reordered} |")


if __name__ == "__main__":
    main()
