"""SIGKILL of the whole program at random moments never shows and never costs a result."""

import multiprocessing
import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kollama2.engine import commit
from kollama2.engine.gc import gc
from kollama2.engine.graph import inline, plan, run
from kollama2.engine.store import Store
from tests.engine.fakes import Corpus, Part, Train, die_at

CORPUS = Corpus(text="나무는 숲에 산다. " * 20)


def targets(pause: float = 0.0) -> list[Train]:
    base = Train(model=CORPUS, seed=9, steps=6, pause=pause)
    return [
        Train(model=base, data=(Part(source=CORPUS),), seed=s, steps=6, pause=pause)
        for s in range(4)
    ]


CODE = """
import sys
from pathlib import Path
from kollama2.engine import graph, launch, store
from tests.engine.test_kill import targets
here = store.Store(Path(sys.argv[1]))
sys.exit(graph.run(targets(0.04), here, launch.local(here), 2).exit_code)
"""


def start(root: Path) -> "subprocess.Popen[bytes]":
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    return subprocess.Popen([sys.executable, "-c", CODE, str(root)], env=environment)


def results(root: Path) -> dict[str, bytes]:
    return {
        path.parent.name: path.read_bytes() for path in root.glob("*/*.txt") if path.stat().st_size
    }


@pytest.mark.skipif(sys.platform != "linux", reason="needs quick processes")
@pytest.mark.parametrize("part", [24, pytest.param(1, marks=pytest.mark.slow)])
def test_a_kill_at_any_touch_of_the_file_system(tmp_path: Path, part: int) -> None:
    context = multiprocessing.get_context("forkserver")
    stage = Train(steps=3)

    def compute(root: Path, moment: int) -> int | None:
        process = context.Process(target=die_at, args=(root, stage, moment))
        process.start()
        process.join()
        return process.exitcode

    calm = Store(tmp_path / "calm")
    for _ in range(2):  # the first process also reads modules
        shutil.rmtree(calm.root, ignore_errors=True)
        assert compute(calm.root, 0) == 0
    touches = int((tmp_path / "touches").read_text())
    assert touches > 100
    for moment in range(random.Random().randint(1, part), touches, part):
        store = Store(tmp_path / str(moment))
        assert compute(store.root, moment) == 9
        assert store.verify() == {}
        store.compute(stage)
        assert results(store.root) == results(calm.root)
        gc(store, {stage.name}, delete=True)  # a kill after the last rename leaves a dead lease
        assert [path.name for path in store.root.iterdir()] == [stage.name], moment
        assert store.verify() == {}


def test_kills_at_random_moments(tmp_path: Path) -> None:
    calm, killed = Store(tmp_path / "calm"), Store(tmp_path / "killed")
    assert run(targets(0.04), calm, inline(calm)).exit_code == 0
    moments = random.Random()
    for _ in range(5):
        main = start(killed.root)
        try:
            main.wait(moments.uniform(0.4, 1.5))
        except subprocess.TimeoutExpired:
            main.kill()
            main.wait()
        for folder in killed.root.iterdir() if killed.root.exists() else ():
            if folder.is_dir() and "." not in folder.name:
                commit.verify(folder, full=True)
    main = start(killed.root)
    assert main.wait(60) == 0
    assert results(killed.root) == results(calm.root)
    gc(killed, {stage.name for stage in plan(targets(0.04), killed).stages}, delete=True)
    assert {path.name for path in killed.root.iterdir()} == {
        stage.name for stage in plan(targets(0.04), killed).stages
    }
    assert killed.verify() == {}
    began = time.monotonic()
    assert run(targets(0.04), killed, inline(killed)).computed == ()
    assert time.monotonic() - began < 3
