"""The loss of ten steps of every way to train, on the miniature: digits that only a decision moves.

python -m tests.train.golden      writes them anew, when a change is meant to move them
"""

import json
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

from kollama2.data.encode import encode
from kollama2.data.forms import Example
from kollama2.data.read import read
from kollama2.engine.profile import Resources
from kollama2.miniature import base, corpora
from kollama2.model.folder import ModelFolder
from kollama2.train import record
from kollama2.train.loop import train
from kollama2.train.prefer import PairIds, prefer
from kollama2.train.preference_settings import PreferSettings
from kollama2.train.settings import TrainSettings
from tests.train.conftest import silent

FILE = Path(__file__).with_name("golden_curves.json")
STEPS, BATCH, LONGEST = 10, 2, 192


def trained(folder: Path, threads: int, *, corpus: str = "alpaca-ko", **changes: Any) -> None:
    """Train on some rows of a corpus of the miniature, by the chat template of its base."""
    corpora.write(corpus, folder / corpus, size=STEPS * BATCH)
    rows = folder / "rows"
    encode(folder / corpus, base.FOLDER, rows, template="own", max_length=LONGEST)
    values = {"lr": 5e-4, "steps": STEPS, "batch": BATCH, "max_length": LONGEST, **changes}
    train(TrainSettings(**values), rows=rows, **_places(folder, threads))


def preferred(folder: Path, threads: int) -> None:
    """Prefer the answer of each instruction to that of the one before."""
    corpora.write("alpaca-ko", folder / "alpaca-ko", size=STEPS + 1)
    settings = PreferSettings(lr=5e-4, steps=STEPS, batch=1, max_length=LONGEST)
    encoder = ModelFolder.read(base.FOLDER).encoder("own")
    prefer(
        settings,
        list(_pairs(encoder, folder / "alpaca-ko")),
        template=encoder.template,
        **_places(folder, threads),
    )


def _pairs(encoder: Any, rows: Path) -> Iterator[PairIds]:
    examples = [one.messages for one in read(rows) if isinstance(one, Example)]
    for (*_, rejected), (*prompt, chosen) in pairwise(examples):
        ids = encoder.prompt(prompt)
        better, worse = (
            encoder.encode([*prompt, one]).ids[len(ids) :] for one in (chosen, rejected)
        )
        yield PairIds(prompt_ids=ids, chosen_ids=better, rejected_ids=worse)


def _places(folder: Path, threads: int) -> dict[str, Any]:
    return {
        "model": base.FOLDER,
        "out": folder / "out",
        "scratch": folder / "scratch",
        "resources": Resources(device="cpu", threads=threads),
        "progress": silent,
    }


RUNS: dict[str, Callable[[Path, int], None]] = {
    "full": partial(trained, method="full"),
    "lora": partial(trained, method="lora"),
    "qlora": partial(trained, method="qlora"),
    "text": partial(trained, method="full", corpus="text-ko", packing=True),
    "dpo": preferred,
}


def curve(name: str, folder: Path, threads: int = 1) -> list[float]:
    """The losses of a run, by step, in nats per labelled token (`dpo`: nats per pair)."""
    RUNS[name](folder, threads)
    return [line["loss"] for line in record.read(folder / "out" / "metrics.jsonl")]


def main() -> None:
    """Write the curves of all runs."""
    found = {}
    for name in RUNS:
        with tempfile.TemporaryDirectory() as folder:
            found[name] = curve(name, Path(folder))
    FILE.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
