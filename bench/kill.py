"""Kills a study at random moments, goes on, and compares with a run that nobody disturbed.

    python bench/kill.py                         the embedded study, ten kills: about ten minutes
    python bench/kill.py STUDY --kills 3 --calm runs

Each kill is a SIGKILL of the whole program and its workers, or of one worker alone, as an
out-of-memory killer would do it. In the end the same command must have given the same leaderboard
and the same weights, to the byte.
"""

import argparse
import hashlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil


def main() -> int:
    """Run it; 0 when every byte is the same."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("study", nargs="?", default="quick")
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--calm", type=Path, help="store in which the study is already computed")
    parser.add_argument("--longest", type=float, default=45, help="seconds until a kill")
    parser.add_argument("--seed", type=int, default=time.time_ns() % 2**32)
    options = parser.parse_args()
    print(f"seed {options.seed}")
    rng = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as name:
        calm, killed = options.calm or Path(name) / "calm", Path(name) / "killed"
        if options.calm is None:
            finish(options.study, calm)
        for number in range(1, options.kills + 1):
            disturb(options.study, killed, rng, options.longest, number)
        finish(options.study, killed)
        return compare(calm, killed)


def start(study: str, store: Path) -> "subprocess.Popen[bytes]":
    """The command of a user, in a session of its own, so that all of it can be killed."""
    return subprocess.Popen(
        [sys.executable, "-m", "kollama2", "run", study, "--store", str(store)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def finish(study: str, store: Path) -> None:
    """Run the study to its end."""
    began = time.monotonic()
    code = start(study, store).wait()
    if code:
        raise SystemExit(f"the study ended with code {code}")
    print(f"{store.name}: finished in {time.monotonic() - began:.0f} s", flush=True)


def disturb(study: str, store: Path, rng: random.Random, longest: float, number: int) -> None:
    """Start the study and kill all of it, or one worker and then all of it."""
    program = start(study, store)
    moment = rng.uniform(0.2, longest)
    try:
        program.wait(moment)
    except subprocess.TimeoutExpired:
        everyone = psutil.Process(program.pid).children(recursive=True)
        if everyone and rng.random() < 0.3:
            rng.choice(everyone).kill()
            time.sleep(rng.uniform(0, 2))
        for process in [*psutil.Process(program.pid).children(recursive=True), *everyone]:
            if process.is_running():
                process.kill()
        os.kill(program.pid, signal.SIGKILL)
        program.wait()
    done = len(list(store.glob("*/done.json")))
    print(f"kill {number}: after {moment:.1f} s, {done} folders with results", flush=True)


def compare(calm: Path, killed: Path) -> int:
    """Say which files differ; 0 when none does."""
    boards = {path.relative_to(calm) for path in calm.glob("studies/*/leaderboard.json")}
    weights = {path.relative_to(calm) for path in calm.glob("*/model/*.safetensors")}
    found = {path.relative_to(killed) for path in killed.glob("*/model/*.safetensors")}
    wrong = sorted(map(str, found ^ weights))
    both = sorted(boards | (weights & found))
    wrong += [str(path) for path in both if digest(calm / path) != digest(killed / path)]
    print(f"{len(weights)} weights and {len(boards)} leaderboard compared")
    print("\n".join(f"differs: {name}" for name in wrong) or "all equal to the byte")
    return 1 if wrong or not weights or not boards else 0


def digest(path: Path) -> str:
    """SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


if __name__ == "__main__":
    sys.exit(main())
