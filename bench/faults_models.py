"""Damages model folders in every way that was thought of, and counts what the command line says.

    python bench/faults_models.py [--seed 0] [--fuzz 25] [--group NAME] [--command evaluate]

A damaged folder works or is refused in one sentence. A traceback, an answer that changed without a
word, and more than `SECONDS` are failures. `cases` and `outcome` are for other programs.
"""

import argparse
import contextlib
import os
import shutil
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench import faults_folders as damage
from bench import faults_tables as tables
from bench import typed
from bench.faults_folders import ADAPTER, SETTINGS, WEIGHTS

from kollama2.model.bounded import limited

SECONDS = (60.0, 300.0)  # the second where workers are started
Damage = Callable[[Path], None]
COMMANDS = {
    "complete": "complete {model} --max-new-tokens 4 -- fox",
    "report": "tokenizer report {model}",
    "evaluate": "evaluate {model} --suite quick --only facts-ko --store {made}/store",
    "adapt": "adapt {model} --recipe kullm-lora --miniature -o {made}/out --store {made}/store",
}


class Case(NamedTuple):
    """One damaged folder.

    Attributes:
        kind: of the sound folder.
        group: of cases.
        name: of the case.
        make: writes it as a new folder, and says what the model's name is.
        told: whether another answer than the sound model's needs a word.
    """

    kind: str
    group: str
    name: str
    make: Callable[[Path], Path]
    told: bool = True


class Outcome(NamedTuple):
    """What came of it: works, told, silent, traceback or endless; the exit code; what was said."""

    kind: str
    code: int
    text: str


class Sound:
    """Sound folders of each kind, made below `root`, and what they say."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._answers: dict[str, str] = {}
        damage.build(root)

    def answer(self, kind: str) -> str:
        """What a sound folder says."""
        if kind not in self._answers:
            found = outcome(self.case(kind, "", "", lambda folder: None), self.root / "asked")
            assert found.kind == "works", found
            self._answers[kind] = found.text
        return self._answers[kind]

    def case(self, kind: str, group: str, name: str, change: Damage, told: bool = True) -> Case:
        """A case that changes a copy of a sound folder."""

        def make(folder: Path) -> Path:
            shutil.copytree(self.root / kind, folder)
            folder.chmod(0o777)
            change(folder)
            return folder / "model.gguf" if kind == "gguf" else folder

        return Case(kind, group, name, make, told)


def values(sound: Sound) -> Iterator[Case]:
    """Values of JSON files that cannot be."""
    for (kind, file), table in tables.VALUES.items():
        for told, key, wrong in table:
            for value in wrong:
                change = partial(damage.put, name=file, key=key, value=value)
                yield sound.case(kind, file, f"{key} = {value!r:.60}", change, told)
    for name, text in tables.TEMPLATES.items():
        change = partial(damage.put, name=SETTINGS, key="chat_template", value=text)
        yield sound.case("fast", "chat templates", name, change)


def files(sound: Sound) -> Iterator[Case]:
    """Files that are missing, cut off, empty, folders, of other bytes."""
    for kind in ("whole", "fast", "split", "adapter", "meta", "pickled", "gguf"):
        for path in sorted((sound.root / kind).iterdir()):
            if path.name == "generation_config.json":
                continue
            for how in tables.DAMAGES:
                change = partial(damage.spoil, name=path.name, how=how)
                name = f"{path.name} {how}"
                yield sound.case(kind, f"files of {kind}", name, change, told=how != "missing")


def weights(sound: Sound) -> Iterator[Case]:
    """Tensors that are not those of the model, headers and indexes that lie."""
    for kind, file in (("whole", WEIGHTS), ("adapter", ADAPTER), ("meta", "consolidated.00.pth")):
        for name, change in damage.tensors(kind).items():
            whole = partial(damage.tensors_changed, name=file, change=change)
            yield sound.case(kind, f"tensors of {kind}", name, whole)
    for name, header in tables.HEADERS.items():
        change = partial(damage.write_header, name=WEIGHTS, header=header)
        yield sound.case("whole", "safetensors headers", name, change)
    for name, index in damage.INDEXES.items():
        yield sound.case("split", "indexes", name, index)
    for name, change in damage.ADAPTERS.items():
        yield sound.case("adapter", "adapters", name, change)


def fuzz(sound: Sound, seed: int, count: int) -> Iterator[Case]:
    """Changes that nobody thought of; many are harmless."""
    for kind, name in tables.FUZZED:
        for number in range(count):
            change = partial(damage.fuzzed, name=name, seed=f"{seed} {name} {number}")
            yield sound.case(kind, f"fuzz of {name}", f"{seed}-{number}", change, told=False)


def cases(sound: Sound, seed: int = 0, count: int = 25) -> Iterator[Case]:
    """All cases, with so many random ones for each kind of file."""
    for some in (values(sound), files(sound), weights(sound), fuzz(sound, seed, count)):
        yield from some


def outcome(
    case: Case, folder: Path, answer: str | None = None, command: str = "complete"
) -> Outcome:
    """Make a case in a new folder, run it (`run`), and remove it."""
    try:
        return run(case.make(folder), answer if case.told else None, command)
    finally:
        for place in (folder, Path(f"{folder}-other")):
            shutil.rmtree(place, ignore_errors=True)


def run(model: Path, answer: str | None = None, command: str = "complete") -> Outcome:
    """Give a command to the command line of this process; pickles are converted at first.

    Args:
        model: the folder or file.
        answer: what the sound model says; another answer without a word is silent.
        command: one of `COMMANDS`.
    """
    made = model.parent / "made"
    words = "convert {model} -o {made}/out" if any(model.glob("pytorch_*")) else COMMANDS[command]
    words, limit = words.format(model=model, made=made), SECONDS[command in ("evaluate", "adapt")]
    try:
        ended = typed.command(*words.split(), within=alone(model, limit))
    finally:
        shutil.rmtree(made, ignore_errors=True)
    said = ended.said.strip()
    if ended.seconds > limit:
        return Outcome("endless", ended.code, ended.trace or said)
    if ended.code:
        clean = ended.refusal == "said" and said.rpartition("\n")[2] == ended.sentences[-1]
        told = clean and "\x1b" not in said
        return Outcome("told" if told else "traceback", ended.code, ended.trace or said)
    changed = answer is not None and ended.out != answer and not ended.sentences
    return Outcome("silent" if changed else "works", 0, ended.out)


@contextlib.contextmanager
def alone(model: Path, limit: float) -> Iterator[None]:
    """As in a program of its own, which has so many seconds."""
    with nobody(model), warnings.catch_warnings(), limited(limit):
        warnings.resetwarnings()
        warnings.simplefilter("ignore", DeprecationWarning)
        yield


@contextlib.contextmanager
def nobody(model: Path) -> Iterator[None]:
    """Another user than root, who may read everything, where a file may not be read."""
    files = (model if model.is_dir() else model.parent).iterdir()
    drop = os.geteuid() == 0 and any(not one.stat().st_mode & 0o777 for one in files)
    if drop:
        os.seteuid(65534)
    try:
        yield
    finally:
        if drop:
            os.seteuid(0)


def main() -> int:
    """Run all; 0 when nothing failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--fuzz", type=int, default=25, help="random cases of each kind of file")
    parser.add_argument("--command", choices=COMMANDS, default="complete")
    parser.add_argument("--every", type=int, default=1, help="only every so many cases")
    parser.add_argument("--group", help="only groups with this in their names, and what was said")
    options = parser.parse_args()
    counts: dict[str, Counter[str]] = {}
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        root.chmod(0o777)
        sound = Sound(root / "sound")
        every = cases(sound, options.seed, options.fuzz)
        for case in islice(every, 0, None, options.every):
            if options.group and options.group not in case.group:
                continue
            answer = sound.answer(case.kind) if options.command == "complete" else None
            found = outcome(case, root / "case", answer, options.command)
            counts.setdefault(case.group, Counter())[found.kind] += 1
            if options.group or found.kind not in ("works", "told"):
                print(f"{case.group}: {case.name}: {found.kind} {found.code}: {found.text}")
    print(f"{'kind':40} tried works  told silent endless tracebacks")
    total: Counter[str] = sum(counts.values(), Counter())
    for group, count in [*counts.items(), ("all", total)]:
        kinds = [count[one] for one in ("works", "told", "silent", "endless", "traceback")]
        print(f"{group:40} {count.total():5} {kinds[0]:5} {kinds[1]:5} {kinds[2]:6} "
              f"{kinds[3]:7} {kinds[4]:10}")  # fmt: skip
    return int(total["works"] + total["told"] != total.total())


if __name__ == "__main__":
    raise SystemExit(main())
