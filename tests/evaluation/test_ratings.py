import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import spearmanr

from kollama2.errors import BadData
from kollama2.evaluation.kinds import Rating
from kollama2.evaluation.likelihood import Tools
from kollama2.evaluation.outcome import Outcome
from kollama2.evaluation.ratings import contributions, rating
from kollama2.evaluation.rows import read_rows
from kollama2.evaluation.scorer import Scorer
from kollama2.evaluation.suite import Suite
from tests.evaluation.models import ByteEncoder, llama, naive_score, uniform

WORDS = "여우 숲 사과 책 바다 산 밥 강".split()


def task(**fields: Any) -> Rating:
    return Rating(name="sts", measure_kind="rating", data="", **fields)


def rows(golds: list[float]) -> list[dict[str, Any]]:
    return [
        {"id": str(i), "cluster": str(i), "first": WORDS[i % 8], "second": WORDS[-i % 5], "gold": x}
        for i, x in enumerate(golds)
    ]


def measured(rows: list[dict[str, Any]], model: Any = None, **fields: Any) -> Outcome:
    return rating(task(**fields), rows, Tools(Scorer(model or llama()), ByteEncoder()))


def expected_rating(prompt: str, ratings: list[str]) -> float:
    model, encoder = llama(), ByteEncoder()
    context = encoder.prompt([{"role": "user", "content": prompt}])
    p = [
        math.exp(naive_score(model, context, encoder.encode(one)) / len(one.encode()))
        for one in ratings
    ]
    return sum(place * one for place, one in enumerate(p)) / sum(p)


def test_the_mean_over_the_pairs_is_spearmans_correlation() -> None:
    golds = [5.0, 0.2, 3.0, 3.0, 1.0, 4.75, 2.0, 3.0]
    found = rows(golds)
    prompts = ("{first} {second}", "가: {first}, 나: {second}?")
    outcome = measured(found, prompts=prompts, ratings=("0", "일", "10"))
    rho = []
    for prompt in prompts:
        asked = [prompt.format(**row) for row in found]
        told = [expected_rating(one, ["0", "일", "10"]) for one in asked]
        rho.append(spearmanr(told, golds).statistic)
    records = outcome.records
    by_prompt = np.array([one["by_prompt"] for one in records]).mean(axis=0)
    assert by_prompt == pytest.approx(rho, abs=1e-9)
    assert np.mean([one["value"] for one in records]) == pytest.approx(np.mean(rho), abs=1e-9)
    assert {one["measure"] for one in records} == {"spearman"}
    assert outcome.samples[0]["prompt"] == "여우 여우"


def test_the_contributions_scatter_as_the_correlation_does() -> None:
    rng = np.random.default_rng(0)
    golds = np.round(rng.normal(size=80), 1)  # with ties
    told = golds + 0.4 * rng.normal(size=80)
    found = contributions(told, golds)
    rho = spearmanr(told, golds).statistic
    assert found.mean() == pytest.approx(rho, abs=1e-12)
    without = [spearmanr(np.delete(told, i), np.delete(golds, i)).statistic for i in range(80)]
    jackknifed = 80 * rho - 79 * np.array(without)
    assert np.corrcoef(found, jackknifed)[0, 1] > 0.999
    assert found.std() == pytest.approx(jackknifed.std(), rel=0.05)


def test_a_model_without_an_order_has_none() -> None:
    outcome = measured(rows([0.0, 2.0, 5.0]), uniform())
    assert [one["value"] for one in outcome.records] == [0, 0, 0]
    assert outcome.flags == ["all pairs get the same rating, so there is no order"]


def test_people_without_an_order_cannot_be_followed() -> None:
    with pytest.raises(BadData, match="all pairs have the same rating"):
        measured(rows([2.0, 2.0]))


def test_rows_come_from_korsts_by_columns(tmp_path: Path) -> None:
    path = tmp_path / "sts-dev.tsv"
    path.write_text("id\tscore\tsentence1\tsentence2\na\t4.750\t아이가 탄다.\t아이가 탔다.\n")
    columns = {"first": "sentence1", "second": "sentence2", "gold": "score"}
    wanted = task(columns=columns).model_copy(update={"data": str(path)})
    assert read_rows(wanted)[0]["gold"] == 4.75
    path.write_text(path.read_text().replace("4.750", "high"))
    with pytest.raises(BadData, match="the rating 'high' is no number"):
        read_rows(wanted)


@pytest.mark.parametrize("prompt", ["{first}", "{second} {first}", "{first} {first} {second}"])
def test_a_prompt_holds_both_sentences_in_their_order(prompt: str) -> None:
    with pytest.raises(ValueError, match=r"must hold \{first\} and then \{second\}, once"):
        task(prompts=(prompt,))


def test_it_stands_in_a_suite() -> None:
    suite = Suite.model_validate({
        "name": "own", "primary": "sts/spearman",
        "tasks": [json.loads(task().model_dump_json())],
    })  # fmt: skip
    assert suite.measures() == ("sts/spearman",)
