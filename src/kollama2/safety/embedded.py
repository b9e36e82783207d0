"""The embedded classifier: a linear model over hashed n-grams, Korean and English.

It is small and quick, and knows words and phrases, not meanings: model/README.md says how well.
"""

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from kollama2.safety.features import features
from kollama2.safety.verdict import Dialog, Side, Verdict, last_text

FOLDER = Path(__file__).parent / "model"
_SENTENCES = re.compile(r"(?<=[.!?。…\n])\s+")
_LONGEST = 160  # characters of a window; training texts are about as long


class Embedded:
    """Judges a text by its worst sentence or window.

    Args:
        threshold: score from which a text is unsafe; the one of the card where it is None.
    """

    name = "default"

    def __init__(self, threshold: float | None = None) -> None:
        self._weights, self._bias, stated = _model()
        self.threshold = stated if threshold is None else threshold

    def score(self, text: str) -> float:
        """How unsafe a single sentence is, from 0 to 1."""
        found = features(text)
        value = float(self._weights[found].sum() / np.sqrt(len(found))) + self._bias
        return float(1 / (1 + np.exp(-value)))

    def judge(self, dialog: Dialog, side: Side) -> Verdict:
        """Judge the last message, sentence by sentence; a classifier as `Classifier` says."""
        score = max(self.score(part) for part in windows(last_text(dialog)))
        safe = score < self.threshold
        return Verdict(safe, score, self.name, "" if safe else "hate, insult or social bias")


def windows(text: str) -> list[str]:
    """Sentences, and of long ones overlapping windows; at least one, which may be empty."""
    found = list[str]()
    for sentence in _SENTENCES.split(text):
        starts = range(0, max(1, len(sentence) - _LONGEST // 2), _LONGEST // 2)
        found += [sentence[start : start + _LONGEST] for start in starts]
    return found


@cache
def _model() -> tuple[npt.NDArray[np.float32], float, float]:
    from safetensors.numpy import load_file

    tensors = load_file(FOLDER / "model.safetensors")
    about: dict[str, Any] = json.loads((FOLDER / "config.json").read_text(encoding="utf-8"))
    weights: npt.NDArray[np.float32] = tensors["weights"].astype(np.float32)
    return weights, float(tensors["bias"][0]), float(about["threshold"])
