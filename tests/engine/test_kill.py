"""SIGKILL of the whole program at random moments never shows and never costs a result."""

import os
import random
import subprocess
import sys
import time
from pathlib import Path

from kollama2.engine import commit
from kollama2.engine.graph import inline, plan, run
from kollama2.engine.store import Store
from tests.engine.fakes import Corpus, Part, Train

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
from tests.engine.fakes import PARSE
from tests.engine.test_kill import targets
here = store.Store(Path(sys.argv[1]))
sys.exit(graph.run(targets(0.04), here, launch.local(here, parse=PARSE), 2).exit_code)
"""


def start(root: Path) -> "subprocess.Popen[bytes]":
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    return subprocess.Popen([sys.executable, "-c", CODE, str(root)], env=environment)


def results(root: Path) -> dict[str, bytes]:
    return {
        path.parent.name: path.read_bytes() for path in root.glob("*/*.txt") if path.stat().st_size
    }


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
    assert {path.name for path in killed.root.iterdir()} == {
        stage.name for stage in plan(targets(0.04), killed).stages
    }
    assert killed.verify() == {}
    began = time.monotonic()
    assert run(targets(0.04), killed, inline(killed)).computed == ()
    assert time.monotonic() - began < 1
