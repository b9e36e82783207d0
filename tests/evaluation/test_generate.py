import random
from collections.abc import Sequence

import torch
from torch import nn

from kollama2.evaluation.exact import answered
from kollama2.evaluation.generate import greedy
from kollama2.evaluation.kinds import Generation
from kollama2.evaluation.likelihood import Tools
from kollama2.evaluation.rows import Row
from kollama2.evaluation.scorer import Scorer
from tests.evaluation.models import ByteEncoder, constant, llama


def naive(
    model: nn.Module, prompt: Sequence[int], limit: int, stops: Sequence[int]
) -> tuple[list[int], bool]:
    """Greedy decoding without a cache, a batch or padding."""
    answer: list[int] = []
    with torch.no_grad():
        for _ in range(limit):
            table = model(input_ids=torch.tensor([[*prompt, *answer]])).logits[0, -1]
            chosen = int(table.argmax())
            if chosen in stops:
                return answer, True
            answer.append(chosen)
    return answer, False


def test_greedy_equals_one_by_one_for_any_batch() -> None:
    draw, model = random.Random(0), llama(seed=5)
    prompts = [[1, *(draw.randrange(3, 260) for _ in range(size))] for size in range(1, 40, 5)]
    first = [naive(model, prompt, 12, [])[0] for prompt in prompts]
    stops = sorted({first[0][3], first[4][0], first[6][6]})
    expected = [naive(model, prompt, 12, stops) for prompt in prompts]
    assert 0 < sum(stopped for _, stopped in expected) < len(expected)
    for batch_tokens in (1, 100, 10_000):
        assert expected == greedy(
            model, prompts, max_new_tokens=12, stop_ids=stops, batch_tokens=batch_tokens
        )


def test_rows_whose_answers_have_ended_leave_the_batch() -> None:
    model, fed = llama(seed=5), list[int]()
    prompts = [[1, 10 + number] for number in range(6)]
    whole = [naive(model, prompt, 8, [])[0] for prompt in prompts]
    stops = sorted({answer[0] for answer in whole[:3]} - set(whole[5]))
    expected = [naive(model, prompt, 8, stops) for prompt in prompts]
    ended = sum(not answer for answer, _ in expected)
    assert 3 <= ended < 6
    model.register_forward_pre_hook(
        lambda module, given, named: fed.append(len(named["input_ids"])), with_kwargs=True
    )
    assert expected == greedy(model, prompts, max_new_tokens=8, stop_ids=stops, batch_tokens=10_000)
    assert fed[:2] == [6, 6 - ended]


def rows(*contents: str) -> list[Row]:
    return [
        {
            "id": str(number),
            "cluster": str(number),
            "messages": [{"role": "user", "content": content}],
            "reference": "답",
        }
        for number, content in enumerate(contents)
    ]


def test_empty_answers_are_failures() -> None:
    p = torch.full((260,), 0.001)
    p[2] = 1 - 0.001 * 259  # EOS at once
    model = constant(p)
    task = Generation(name="t", measure_kind="generation", data="", max_new_tokens=4)
    outcome = answered(task, rows("안녕", "x" * 600), Tools(Scorer(model), ByteEncoder()), model)
    assert (outcome.items, outcome.truncated, outcome.empty, outcome.failed) == (2, 1, 1, 1)
    found = {one["measure"]: one["value"] for one in outcome.records}
    assert (found["fidelity"], found["empty"], found["eos"]) == (0, 1, 1)
    assert outcome.samples == [
        {
            "task": "t",
            "item": "0",
            "prompt": "안녕",
            "answer": "",
            "reference": "답",
            "faults": ["empty"],
            "tokens": 0,
            "stopped": True,
        }
    ]


def test_broken_bytes_are_failures() -> None:
    p = torch.full((260,), 0.001)
    p[0xEA + 3] = 1 - 0.001 * 259  # the first byte of a syllable, again and again
    model = constant(p)
    task = Generation(name="t", measure_kind="generation", data="", max_new_tokens=8)
    outcome = answered(task, rows("안녕"), Tools(Scorer(model), ByteEncoder()), model)
    found = {one["measure"]: one["value"] for one in outcome.records}
    assert (found["invalid_utf8"], found["empty"], found["eos"]) == (1, 0, 0)
    assert outcome.failed == 1


class Marked(ByteEncoder):
    """Writes marks around what is said, and answers with one of them, whatever the model says."""

    def prompt(self, messages: Sequence[dict[str, str]]) -> list[int]:
        return [1, *self.encode(f"[[U]] {messages[-1]['content']} [[A]]\n")]

    def decode(self, ids: Sequence[int]) -> str:
        found = super().decode(ids)
        return found if found.startswith("[[U]]") else "서울입니다. [[A]]"


def test_marks_of_the_models_own_template_are_leaks() -> None:
    task = Generation(name="t", measure_kind="generation", data="", max_new_tokens=2)
    model = llama()
    outcome = answered(task, rows("수도는?"), Tools(Scorer(model), Marked()), model)
    assert outcome.counts().faults == {"leak": 1}
    assert outcome.flags == ["leak: 1 of 1 answers hold marks of a chat template"]
    assert outcome.samples[0]["faults"] == ["leak"]


def test_a_constant_answer_is_no_answer_to_every_question() -> None:
    p = torch.full((260,), 0.001)
    p[ord("7") + 3] = 1 - 0.001 * 259
    model = constant(p)
    task = Generation(name="t", measure_kind="generation", data="", max_new_tokens=2)
    asked = rows("하나 더하기 여섯은?", "둘 더하기 여섯은?", "셋 더하기 여섯은?", "넷은?")
    asked[0]["reference"] = "77"
    outcome = answered(task, asked, Tools(Scorer(model), ByteEncoder()), model)
    found = [one["value"] for one in outcome.records if one["measure"] == "fidelity"]
    assert found == [1, 0, 0, 0]  # the first one's reference says the same
    assert outcome.flags == ["stock: 3 of 4 answers say what many others say"]


def test_a_character_cut_by_the_length_limit_is_not_broken() -> None:
    p = torch.full((260,), 0.001)
    p[0xEA + 3] = 1 - 0.001 * 259
    model = constant(p)
    task = Generation(name="t", measure_kind="generation", data="", max_new_tokens=2)
    outcome = answered(task, rows("안녕"), Tools(Scorer(model), ByteEncoder()), model)
    found = {one["measure"]: one["value"] for one in outcome.records}
    assert (found["invalid_utf8"], found["empty"]) == (0, 1)
