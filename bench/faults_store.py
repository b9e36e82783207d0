"""Damage to a store: every kind of stored file, spoilt in every way, is found before it is used.

    python bench/faults_store.py [STUDY --store FOLDER]

A small study is computed if no store with one is named. The store is copied by links for each case,
one file of the copy is spoilt, and what would use it next does so: a stage its input, `report`,
`status` and `query` an evaluation or what lies beside it.
"""

import argparse
import contextlib
import io
import os
import random
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench.typed import command

from kollama2.engine.graph import closure
from kollama2.engine.stage import Stage
from kollama2.engine.store import Store
from kollama2.errors import Corrupt, Fault
from kollama2.study.lock import find, lock

STUDY = """\
name: faults
base: {uri: builtin:miniature}
template: llama2
sources:
  ko: {uri: builtin:miniature/text-ko}
  pairs: {uri: builtin:miniature/parallel}
  both: {uri: "made:translations", pairs: pairs}
  alpaca: {uri: builtin:miniature/alpaca-ko}
seeds: [0]
axes:
  vocab: {keep: none, more: {kind: expand_vocab, corpus: ko, size: 300, syllables: false}}
  blocks: {same: none, deeper: {kind: expand_blocks, every: 2}}
  first: {ordered: {kind: pretrain, phases: [{at: 0, both: 1}, {at: 1, ko: 1}], order: forward,
                    method: full, lr: 1.0e-3, batch: 4, max_length: 256, korean_bytes: 2KB}}
  sft: {lora: {kind: finetune, data: alpaca, method: lora, lr: 5.0e-3, batch: 8,
               max_length: 256, korean_bytes: 2KB}}
exclude: [{vocab: more, blocks: deeper}]
suites: [faults.suite.yaml]
"""
SUITE = """\
name: faults
primary: text-ko/bpb
tasks:
  - {name: text-ko, measure_kind: bits_per_byte, lang: ko,
     data: "builtin:miniature/suite/text-ko", limit: 12}
  - {name: answers-ko, measure_kind: generation, lang: ko,
     data: "builtin:miniature/suite/answers-ko", limit: 8, max_new_tokens: 8}
"""
ADDED = "added.safetensors"
Spoil = Callable[[Path], None]
Case = tuple[str, str, Callable[[], str]]


def flip(where: float) -> Spoil:
    """One bit of the byte that stands at this share of the file."""

    def spoil(file: Path) -> None:
        content = bytearray(file.read_bytes())
        content[min(len(content) - 1, int(where * len(content)))] ^= 1 << int(where * 7)
        file.write_bytes(content)

    return spoil


def cut(left: Callable[[int], int]) -> Spoil:
    """All but the beginning of the file."""
    return lambda file: file.write_bytes(file.read_bytes()[: left(file.stat().st_size)]) and None


def exchanged(size: int) -> Spoil:
    """Other content of as many bytes."""
    return lambda file: (
        file.write_bytes(random.Random(size).randbytes(file.stat().st_size)) and None
    )


def folder_instead(file: Path) -> None:
    file.unlink()
    file.mkdir()


SPOILT: dict[str, Spoil] = {
    "flip first": flip(0.0),
    "flip middle": flip(0.5),
    "flip last": flip(0.999999),
    "cut to nothing": cut(lambda size: 0),
    "cut in half": cut(lambda size: size // 2),
    "cut by one": cut(lambda size: size - 1),
    "delete": Path.unlink,
    "exchange": exchanged(1),
    "lengthen": lambda file: file.write_bytes(file.read_bytes() + b"\n") and None,
    "folder": folder_instead,
}


def linked(source: Path, target: Path, own: Path | None = None) -> None:
    """A copy of a tree by links, with the file `own` (in the copy) as a real copy."""
    shutil.copytree(source, target, copy_function=os.link)
    if own is not None and own.is_file():
        content = own.read_bytes()
        own.unlink()
        own.write_bytes(content)


def used(root: Path, stage: Stage) -> str:
    """What a stage that needs this one finds."""
    folder = root / stage.name
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            Store(root).input(stage)
    except Corrupt:
        aside = list(root.glob(f"{stage.name}.corrupt-*"))
        return "said" if aside and not folder.exists() else "silent: left in place"
    except Fault as fault:  # gone altogether
        return "said" if not folder.exists() else f"silent: {fault}"
    except Exception as error:
        return f"traceback: {error!r}"
    return "silent: used"


def stages(root: Path, targets: list[Stage]) -> Iterator[tuple[Stage, str]]:
    """Every kind of stored file: a stage that has one, and the file's place in its folder."""
    seen = set[tuple[str, str]]()
    for stage in _closure(targets):
        folder = root / stage.name
        for file in sorted(one for one in folder.rglob("*") if one.is_file()):
            place = file.relative_to(folder).as_posix()
            if (stage.kind, place) not in seen:
                seen.add((stage.kind, place))
                yield stage, place


def stage_cases(root: Path, targets: list[Stage], scratch: Path) -> Iterator[Case]:
    """A file of a finished stage is spoilt; the next stage reads it."""
    every = _closure(targets)

    def case(stage: Stage, place: str, spoil: Spoil) -> str:
        with tempfile.TemporaryDirectory(dir=scratch) as folder:
            copy = Path(folder) / stage.name
            linked(root / stage.name, copy, copy / place)
            before = (copy / place).read_bytes()
            spoil(copy / place)
            if (copy / place).is_file() and (copy / place).read_bytes() == before:
                return "said"  # an empty file cannot be cut
            return used(Path(folder), stage)

    for stage, place in stages(root, targets):
        for name, spoil in SPOILT.items():
            if (root / stage.name / place).stat().st_size or not name.startswith(("flip", "cut")):
                yield "stage", f"{stage.kind}/{place}: {name}", partial(case, stage, place, spoil)
    for stage, place in stages(root, targets):
        if place == "done.json":
            yield "stage", f"{stage.kind}: add", partial(_added, root, stage, scratch)
            others = [one for one in every if one.kind == stage.kind and one != stage]
            if others:
                swapped = partial(_swapped, root, stage, others[0], scratch)
                yield "stage", f"{stage.kind}: swap", swapped


def _closure(targets: list[Stage]) -> list[Stage]:
    return list({one.name: one for target in targets for one in closure(target).values()}.values())


def _added(root: Path, stage: Stage, scratch: Path) -> str:
    """A foreign file in the folder of a finished stage; it is moved aside with the folder."""
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        linked(root / stage.name, Path(folder) / stage.name)
        (Path(folder) / stage.name / ADDED).write_bytes(b"not ours")
        verdict = used(Path(folder), stage)
        aside = list(Path(folder).glob(f"{stage.name}.corrupt-*/{ADDED}"))
        return verdict if len(aside) == 1 else f"silent: {verdict}, and the added file is gone"


def _swapped(root: Path, stage: Stage, other: Stage, scratch: Path) -> str:
    """The whole folder of another stage of this kind in place of it, manifest and all."""
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        linked(root / other.name, Path(folder) / stage.name)
        return used(Path(folder), stage)


def study_cases(
    root: Path, study: str, name: str, targets: list[Stage], scratch: Path
) -> Iterator[Case]:
    """What commands read is spoilt: the answer is the one of a sound store, or a sentence."""
    evaluation = next(stage for stage in _closure(targets) if stage.kind == "evaluate")
    asked = "select * from scores order by all"
    commands = {
        "report": ("report", name, "--json"),
        "status": ("status", study, "--json"),
        "query": ("query", asked, "--json"),
    }
    files = [f"{evaluation.name}/{file.name}" for file in (root / evaluation.name).iterdir()]
    files += [f"studies/{name}.json", "hashes.json"]
    gone = f"query: studies/{name}.json: delete"  # a lock that is not there names no study
    files += [f"studies/{name}/{file.name}" for file in (root / "studies" / name).iterdir()
              if file.is_file()]  # fmt: skip
    answers = {word: command(*line, "--store", str(root)) for word, line in commands.items()}
    assert not any(one.code for one in answers.values()), [one.said for one in answers.values()]

    def case(place: str, spoil: Spoil, word: str) -> str:
        with tempfile.TemporaryDirectory(dir=scratch) as folder:
            copy = Path(folder) / "store"
            linked(root, copy, copy / place)
            spoil(copy / place)
            ended = command(*commands[word], "--store", str(copy))
            if ended.code == 0 and (ended.out == answers[word].out or "to compute" in ended.out):
                return "said"  # healed, not needed for this answer, or seen as unfinished
            if ended.refusal == "said":
                return "said"
            return f"{ended.refusal}: {ended.code} {(ended.trace or ended.said)[-300:]}"

    for place in files:
        for spoilt, spoil in SPOILT.items():
            for word in commands:
                if f"{word}: {place}: {spoilt}" != gone:
                    yield "command", f"{word}: {place}: {spoilt}", partial(case, place, spoil, word)


def cases(study: str, root: Path, scratch: Path) -> Iterator[Case]:
    """All cases on a finished store, which stays as it is; the scratch is on the same disk."""
    locked = lock(find(study, root), root, None)
    yield from stage_cases(root, locked.targets, scratch)
    yield from study_cases(root, study, locked.study.name, locked.targets, scratch)


def computed(folder: Path) -> tuple[str, Path]:
    """A small study and its finished store."""
    study = folder / "faults.yaml"
    study.write_text(STUDY, encoding="utf-8")
    (folder / "faults.suite.yaml").write_text(SUITE, encoding="utf-8")
    ended = command("run", str(study), "--store", str(folder / "store"))
    assert ended.code == 0, ended.trace or ended.said
    return str(study), folder / "store"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("study", nargs="?")
    parser.add_argument("--store", type=Path)
    parser.add_argument("--only", default="")
    arguments = parser.parse_args()
    bad = tried = 0
    with tempfile.TemporaryDirectory() as folder:
        study, root = arguments.study, arguments.store
        if study is None or root is None:
            study, root = computed(Path(folder))
        for group, name, run in cases(study, root, Path(folder)):
            if arguments.only in f"{group} {name}":
                verdict, tried = run(), tried + 1
                if verdict != "said":
                    bad += 1
                    print(f"{group}: {name}: {verdict}", flush=True)
    print(f"{tried} tried, {bad} bad")
    return bad > 0


if __name__ == "__main__":
    sys.exit(main())
