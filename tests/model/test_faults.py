"""Damaged model folders on the command line: they work, or one sentence says why not."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from bench.faults_models import Case, Sound, cases, outcome
from bench.faults_tables import FUZZED
from hypothesis import given, settings
from hypothesis import strategies as st


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Sound:
    root = tmp_path_factory.mktemp("faults")
    root.chmod(0o777)
    return Sound(root / "sound")


def tried(sound: Sound, some: Iterator[Case]) -> list[str]:
    """What neither works nor is told of some cases."""
    wrong, folder = list[str](), sound.root.parent / "case"
    for case in some:
        found = outcome(case, folder, sound.answer(case.kind))
        if found.kind not in ("works", "told"):
            wrong.append(f"{case.group}: {case.name}: {found.kind} {found.code}: {found.text}")
    assert not (folder.parent / "executed").exists()
    assert not Path("executed").exists()
    return wrong


def test_a_sample_of_the_named_cases(sound: Sound) -> None:
    some = [case for at, case in enumerate(cases(sound, count=0)) if at % 31 == 0]
    assert len(some) > 20
    assert tried(sound, iter(some)) == []


@pytest.mark.slow
def test_every_named_case(sound: Sound) -> None:
    every = list(cases(sound, count=0))
    assert len(every) > 650
    assert tried(sound, iter(every)) == []


@settings(max_examples=40, deadline=None)
@given(at=st.integers(0, len(FUZZED) - 1), seed=st.integers(0, 1 << 32))
def test_random_changes_of_any_file(sound: Sound, at: int, seed: int) -> None:
    from functools import partial

    from bench.faults_folders import fuzzed

    kind, name = FUZZED[at]
    case = sound.case(kind, name, str(seed), partial(fuzzed, name=name, seed=f"{seed}"), False)
    assert tried(sound, iter([case])) == []
