"""KoBEST's documents under one set of names, from the hub's data set or the authors' TSV files."""

from typing import Any

from datasets import Dataset

# Our name: the hub's column and the TSV files' column.
_BOOLQ = {"paragraph": ("paragraph", "Text"), "question": ("question", "Question")}
_COPA = {
    "premise": ("premise", "sentence"),
    "relation": ("question", "question"),
    "first": ("alternative_1", "1"),
    "second": ("alternative_2", "2"),
}
_HELLASWAG = {
    "context": ("context", "context"),
    "ending_1": ("ending_1", "choice1"),
    "ending_2": ("ending_2", "choice2"),
    "ending_3": ("ending_3", "choice3"),
    "ending_4": ("ending_4", "choice4"),
}
_SENTINEG = {"sentence": ("sentence", "Text")}
_WIC = {
    "word": ("word", "Target"),
    "first": ("context_1", "SENTENCE1"),
    "second": ("context_2", "SENTENCE2"),
}


def _told(doc: dict[str, Any], names: dict[str, tuple[str, str]]) -> dict[str, Any]:
    return {
        ours: str(doc[hub] if hub in doc else doc[tsv]).strip()
        for ours, (hub, tsv) in names.items()
    }


def _label(doc: dict[str, Any], *tsv: str, first: int = 0) -> int:
    """The position of the right choice; the TSV files say true and false, or count from `first`."""
    if "label" in doc and not isinstance(doc["label"], str):
        return int(doc["label"])
    text = str(next(doc[name] for name in tsv if name in doc)).strip().lower()
    return {"false": 0, "true": 1}[text] if text in ("false", "true") else int(text) - first


def boolq(docs: Dataset) -> Dataset:
    """A passage and a statement or question about it."""
    return _mapped(docs, lambda doc: {**_told(doc, _BOOLQ), "gold": _label(doc, "Answer")})


def copa(docs: Dataset) -> Dataset:
    """A premise and two sentences, one of which is its cause (원인) or its result (결과)."""
    return _mapped(docs, lambda doc: {**_told(doc, _COPA), "gold": _label(doc, "Answer", first=1)})


def hellaswag(docs: Dataset) -> Dataset:
    """A scene and four sentences that may go on with it."""
    return _mapped(docs, lambda doc: {**_told(doc, _HELLASWAG), "gold": _label(doc, "label")})


def sentineg(docs: Dataset) -> Dataset:
    """A review and whether it is good."""
    return _mapped(docs, lambda doc: {**_told(doc, _SENTINEG), "gold": _label(doc, "Label")})


def wic(docs: Dataset) -> Dataset:
    """A word in two sentences and whether it means the same; brackets mark it in the TSV files."""
    return _mapped(docs, lambda doc: {**_told(doc, _WIC), "gold": _label(doc, "ANSWER")})


def _mapped(docs: Dataset, change: Any) -> Dataset:
    return Dataset.from_list([change(doc) for doc in docs])
