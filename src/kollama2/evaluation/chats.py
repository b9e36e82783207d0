"""Kinds of tasks that ask in the model's chat template and check the answer exactly."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field, model_validator
from typing_extensions import Self

from kollama2.evaluation.kinds import _Task

# A choice is named by one of these.
LETTERS = "ABCDEFGHIJ"


class _Chat(_Task):
    """A task whose data are a data set of the hub (a copy of it), or one file.

    Attributes:
        config: configuration of the data set; its only or first one if not given.
        split: which of its splits holds the items. One file is read whole.
        max_new_tokens: where an answer is cut, thoughts included.
    """

    config: str | None = None
    split: str = "test"
    max_new_tokens: int = Field(1024, gt=0)

    def resolved(self, resolve: Callable[[str], Path]) -> Self:
        """The same task with its uri replaced by the local file or folder that `resolve` gives.

        Raises:
            BadData: `file` is given, and not one file of a folder fits it.
        """
        place = resolve(self.data)
        if place.is_dir() and self.file is None:
            return self.model_copy(update={"data": str(place)})
        return super().resolved(lambda _: place)


class ExactMatch(_Chat):
    """Answers to questions, of which one part is extracted and compared with what is right.

    A row has a `question`, perhaps a `context` to read before it, `choices` or none, and `gold`.

    Attributes:
        prompts: paraphrases; `{question}` stands for context, question and lettered choices.
        extract: what is looked for in an answer, see `extract.py`: the letter of a choice, or a
            number.
        gold: how the data say what is right: the letter of a choice, its position (counted from 0
            or from 1), its text, or a number.
        choices: columns of the choices, where the data have one for each; else they are a list in
            the row's `choices`.
        letters: how many choices the question itself lists, by letters from A on.
        shots: so many first rows are shown with their answers before every question, and are
            not asked.
        shown: how the answer of such an example is written; `{gold}` is its letter or number.
    """

    measure_kind: Literal["exact_match"]
    prompts: tuple[str, ...] = Field(min_length=1, max_length=3)
    extract: Literal["letter", "number"]
    gold: Literal["letter", "from_0", "from_1", "text", "number"]
    choices: tuple[str, ...] = Field((), max_length=len(LETTERS))
    letters: int | None = Field(None, ge=2, le=len(LETTERS))
    shots: int = Field(0, ge=0, le=20)
    shown: str = "정답: {gold}"

    measures: ClassVar[tuple[str, ...]] = ("exact", "extracted")

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        for prompt in self.prompts:
            if re.findall(r"\{(\w+)\}", prompt).count("question") != 1:
                raise ValueError(f"prompt {prompt!r} must hold {{question}} exactly once")
        if self.shown.count("{gold}") != 1:
            raise ValueError(f"shown {self.shown!r} must hold {{gold}} exactly once")
        if (self.extract == "number") != (self.gold == "number"):
            raise ValueError(f"extract {self.extract} does not go with gold {self.gold}")
        if self.extract == "number" and (self.choices or self.letters):
            raise ValueError("choices and letters are for extract: letter")
        if self.letters and (self.choices or self.gold == "text"):
            raise ValueError("letters says that the choices stand in the question only")
        return self


class InstructionRules(_Chat):
    """Answers that must keep rules which a program can check, as in IFEval.

    A row has a `question`, `rules` (their names) and `arguments` (one mapping for each rule).
    `follows` is 1 where all rules are kept; `kept` is the share of the rules.
    """

    measure_kind: Literal["instruction_rules"]

    measures: ClassVar[tuple[str, ...]] = ("follows", "kept")
