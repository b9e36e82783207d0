"""Every family is measured as one sequence after the other would be."""

import pytest

from kollama2.evaluation.generate import greedy
from kollama2.evaluation.scorer import Request, Scorer
from tests.evaluation.models import naive_score
from tests.evaluation.test_generate import naive
from tests.family_models import FAMILIES, every

STATES = {"qwen3_5_text", "qwen3_5", "qwen3_next", "lfm2", "falcon_h1"}
SHARED = tuple(range(20, 60))


@every
def test_scores_and_answers_are_those_of_one_by_one(family: str) -> None:
    model = FAMILIES[family]()
    scorer = Scorer(model)
    assert not (scorer.shares and family in STATES)  # a state cannot be shared, only computed again
    requests = [
        Request(SHARED, (9, 10, 11)),
        Request(SHARED, (12, 13)),
        Request(SHARED[:5], (30, 31, 32, 33)),
        Request((5,), (7, 8) * 15),
    ]
    expected = [naive_score(model, *one) for one in requests]
    assert scorer.score(requests) == pytest.approx(expected, abs=2e-5)
    prompts = [list(SHARED), [40, 41, 42], list(range(100, 160))]
    found = greedy(model, prompts, max_new_tokens=8, stop_ids=[], batch_tokens=4000)
    assert found == [naive(model, prompt, 8, []) for prompt in prompts]
