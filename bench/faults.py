"""All faults that we know how to make: how many ended in silence or a traceback.

    python bench/faults.py                       all five thousand, about a quarter of an hour
    python bench/faults.py --every 10 --seed 3   a tenth of them, drawn by the seed

Bytes of a store, rows of data, folders of models, and what comes from outside: YAML, places that
cannot be written, download servers, endpoints, queries and requests. A fault ends well where its
answer is the right one, or one sentence says what was wrong.
"""

import argparse
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench import faults_models, faults_outside, faults_rows, faults_store
from bench.typed import Ended, command

Fault = tuple[str, str, Callable[[], str]]
"""Its kind, its name, and what makes it and says how it ended: a word, a colon and the rest."""
GOOD = {"said", "told", "works", "kept", "refused"}


def bytes_(root: Path) -> Iterator[Fault]:
    """Stored files, spoilt before a stage or a command reads them."""
    study, store = faults_store.computed(root)
    for group, name, run in faults_store.cases(study, store, root):
        yield f"stored files, {group}", name, run


def rows(root: Path) -> Iterator[Fault]:
    """Rows, columns and bytes of data files."""

    def run(name: str, make: Callable[[Path], list[str]]) -> str:
        with tempfile.TemporaryDirectory(dir=root) as folder:
            arguments = make(Path(folder))
            ended = command(*arguments)
            said = (ended.trace or ended.said).strip()[-200:]
            return f"{faults_rows.judge(name, arguments, ended)}: {said}"

    for group, name, make in faults_rows.cases():
        yield f"data, {group.split()[0]}", f"{group}, {name}", partial(run, name, make)


def models(root: Path) -> Iterator[Fault]:
    """Model folders, GGUF files and adapters."""
    sound = faults_models.Sound(root / "sound")

    def run(case: faults_models.Case) -> str:
        found = faults_models.outcome(case, root / "case", sound.answer(case.kind))
        return f"{found.kind}: {found.text[-200:]}"

    for case in faults_models.cases(sound):
        kind = "random changes" if case.group.startswith("fuzz") else "named"
        yield f"model folders, {kind}", f"{case.group}: {case.name}", partial(run, case)


def outside(root: Path) -> Iterator[Fault]:
    """What users, servers and clients send."""

    def run(one: Callable[[], Ended]) -> str:
        ended = one()
        return f"{faults_outside.classify(ended)}: {(ended.trace or ended.said)[-200:]}"

    for group, name, one in faults_outside.cases(root):
        yield f"from outside, {group}", name, partial(run, one)


PARTS = {"bytes": bytes_, "rows": rows, "models": models, "outside": outside}


def main() -> int:
    """Make the faults and print the table; 0 where every one ended well."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", help=f"of {', '.join(PARTS)}; all if none is named")
    parser.add_argument("--every", type=int, default=1, help="one of so many, drawn by the seed")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    draw, began = random.Random(options.seed), time.monotonic()
    counts: dict[str, Counter[str]] = {}
    for part in options.parts or PARTS:
        root = Path(tempfile.mkdtemp())
        root.chmod(0o755)  # another user tries what may not be read
        try:
            for kind, name, run in PARTS[part](root):
                if draw.randrange(options.every):
                    continue
                verdict = run()
                ended = verdict.partition(":")[0]
                counts.setdefault(kind, Counter())["well" if ended in GOOD else ended] += 1
                if ended not in GOOD:
                    print(f"{kind}: {name}: {verdict}", file=sys.stderr, flush=True)
        finally:
            shutil.rmtree(root, ignore_errors=True)
    print("| kind of fault | tried | silent | tracebacks | too long |\n|---|--:|--:|--:|--:|")
    whole: Counter[str] = sum(counts.values(), Counter())
    for kind, count in [*counts.items(), ("all", whole)]:
        late = count.total() - count["well"] - count["silent"] - count["traceback"]
        print(f"| {kind} | {count.total():,} | {count['silent']} | {count['traceback']} | {late} |")
    print(f"{time.monotonic() - began:.0f} s", file=sys.stderr)
    return int(whole["well"] < whole.total())


if __name__ == "__main__":
    sys.exit(main())
