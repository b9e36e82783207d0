from typing import Any

import pytest
import torch

from kollama2.evaluation.exact import answered
from kollama2.evaluation.kinds import Generation
from kollama2.evaluation.likelihood import Tools
from kollama2.evaluation.scorer import Scorer
from kollama2.evaluation.thoughts import opens, spoken
from tests.evaluation.models import ByteEncoder, llama


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("서울입니다.", "서울입니다."),
        ("<think>\nKorea, hm.\n</think>\n\n서울입니다.", "서울입니다."),
        ("\n<think></think>서울", "\n서울"),
        ("<think>one</think>가 <think>two</think>나", "가 나"),
        ("so that is it.\n</think>\n\n서울", "서울"),  # the prompt opened it
        ("<think>and so on, cut", ""),
        ("<thought>x</thought> 네", "네"),
        ("[THINK]x[/THINK]네", "네"),
        ("a < b, <thinkers> and [think]", "a < b, <thinkers> and [think]"),
    ],
)
def test_what_is_said(text: str, said: str) -> None:
    assert spoken(text) == said


def test_a_prompt_may_open_the_thoughts() -> None:
    assert opens("<|im_start|>assistant\n<think>\n")
    assert not opens("<think>\n\n</think>\n\n")
    assert not opens("what does <think> mean?")
    assert spoken("cut before it ends", opened=True) == ""
    assert spoken("yes</think>네", opened=True) == "네"
    assert spoken("<think>again</think>네", opened=True) == "네"


class Told(ByteEncoder):
    """Answers what it is told to, whatever the model says."""

    def __init__(self, text: str, opening: str = "") -> None:
        super().__init__()
        self._text, self._opening = text, opening

    def decode(self, ids: Any) -> str:
        found = super().decode(ids)
        return found if found.endswith(("\n", self._opening or "\n")) else self._text

    def prompt(self, messages: Any) -> list[int]:
        return [*super().prompt(messages), *self.encode(self._opening)]


def asked(encoder: ByteEncoder) -> Any:
    torch.manual_seed(0)
    model = llama()
    rows = [{"id": "0", "cluster": "0", "messages": [{"role": "user", "content": "안녕"}]}]
    task = Generation(name="t", measure_kind="generation", data="", max_new_tokens=4)
    return answered(task, rows, Tools(Scorer(model), encoder), model)


def test_thoughts_are_neither_scored_nor_shown_but_kept() -> None:
    whole = "<think>in English</think>네, 안녕하세요."
    outcome = asked(Told(whole))
    values = {one["measure"]: one["value"] for one in outcome.records}
    assert (values["fidelity"], values["hangul_share"]) == (1, 1)
    (sample,) = outcome.samples
    assert (sample["answer"], sample["whole"]) == ("네, 안녕하세요.", whole)
    assert sample["tokens"] == 4  # what it took
    plain = asked(Told("네, 안녕하세요."))
    assert "whole" not in plain.samples[0]


def test_thoughts_that_never_end_are_no_answer() -> None:
    outcome = asked(Told("네, 생각 중입니다", opening="<think>\n"))
    assert (outcome.empty, outcome.failed) == (1, 1)
    assert outcome.samples[0]["answer"] == ""
    assert outcome.samples[0]["whole"] == "네, 생각 중입니다"
