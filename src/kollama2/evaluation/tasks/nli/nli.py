"""Pairs of sentences under one set of names: KLUE-NLI and KorNLI, from the hub or the authors."""

from typing import Any

from datasets import Dataset

_LABELS = ("entailment", "neutral", "contradiction")


def pairs(docs: Dataset) -> Dataset:
    """Premise, hypothesis and the position of the right relation: follows, open, contradicts."""
    return Dataset.from_list([_pair(doc) for doc in docs])


def _pair(doc: dict[str, Any]) -> dict[str, Any]:
    label = doc["label"] if "label" in doc else doc["gold_label"]
    return {
        "premise": str(doc["premise"] if "premise" in doc else doc["sentence1"]).strip(),
        "hypothesis": str(doc["hypothesis"] if "hypothesis" in doc else doc["sentence2"]).strip(),
        "gold": _LABELS.index(label) if isinstance(label, str) else int(label),
    }
