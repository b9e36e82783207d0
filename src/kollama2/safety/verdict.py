"""What a classifier is and what it says."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

Side = Literal["input", "output"]
Dialog = Sequence[Mapping[str, object]]  # messages with `role` and `content`


@dataclass(frozen=True, slots=True)
class Verdict:
    """The judgement of one text.

    Attributes:
        safe: whether it may go on.
        score: how unsafe it is, from 0 to 1, by the classifier's own measure.
        by: the classifier.
        reason: category, or why there could be no judgement.
    """

    safe: bool
    score: float
    by: str
    reason: str = ""


class Classifier(Protocol):
    """Judges the last message of a dialog.

    It need not be careful about errors or time: the guard takes both for unsafe.
    """

    @property
    def name(self) -> str:
        """What verdicts and logs call it."""
        ...

    def judge(self, dialog: Dialog, side: Side) -> Verdict:
        """Judge the last message: the user's for inputs, the model's for outputs.

        Args:
            dialog: the messages so far; the last one is never empty of roles, but may be of text.
            side: which of the two is meant.
        """
        ...


def last_text(dialog: Dialog) -> str:
    """The content of the last message."""
    return str(dialog[-1]["content"]) if dialog else ""
