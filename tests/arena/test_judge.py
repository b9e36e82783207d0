"""A judge model: both orders, language first, length controlled, nothing asked twice."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from kollama2.arena.judge import gate, judge, name_of, verdict
from kollama2.arena.pairs import Pair, answers
from kollama2.cli.app import app
from kollama2.errors import TryLater
from kollama2.evaluation.endpoint import Endpoint
from kollama2.reporting.preferences import panels
from kollama2.reporting.study import Study, load
from tests.evaluation.server import said, serving
from tests.reporting import fake


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return load(fake.write(tmp_path, seeds=(0,), items=4), "quick")


def asked(body: dict[str, Any]) -> tuple[str, str]:
    text = body["messages"][0]["content"]
    found = re.search(r"\[Answer A\]\n(.*?)\n\n\[Answer B\]\n(.*?)\n\nReply", text, re.DOTALL)
    assert found
    return found[1], found[2]


def prefers_long(body: dict[str, Any]) -> tuple[int, Any]:
    a, b = asked(body)
    return said("TIE" if len(a) == len(b) else "A" if len(a) > len(b) else "B")


def lines(study: Study) -> list[dict[str, Any]]:
    path = study.store / "studies" / "quick" / "judgements.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.parametrize(
    ("text", "choice"),
    [("A", "left"), ("b.", "right"), ("Tie", "tie"), ("Verdict: **B**", "right"),
     ("Answer A is worse, so B", "right"), ("", None), ("Apples", None)],
)  # fmt: skip
def test_verdicts(text: str, choice: str | None) -> None:
    assert verdict(text) == choice


def test_language_decides_before_the_judge(study: Study) -> None:
    found = answers(study)
    by_name = {recipe: one for one, recipe in found.recipes.items()}
    korean, english = by_name["alpaca-full"], by_name["base"]
    assert gate(found, Pair("answer-ko", "1", korean, english)) == "left"
    assert gate(found, Pair("answer-ko", "1", english, korean)) == "right"
    assert gate(found, Pair("answer-ko", "1", english, by_name["base-copy"])) == "bad"
    assert gate(found, Pair("answer-ko", "1", korean, by_name["alpaca-lora"])) is None


def test_both_orders_are_asked_once(study: Study) -> None:
    with serving(prefers_long) as server, Endpoint(server.url, "judge-1") as endpoint:
        first = judge(study, endpoint, against=None)
        again = judge(study, endpoint, against=None)
        count = len(server.bodies)
    # Of 14 pairs of models, 8 have the English base or its copy; 6 are of Korean answers.
    assert (first.pairs, first.gated, first.asked) == (70, 40, 60)
    assert (again.asked, count) == (0, 60)
    assert len(lines(study)) == 40 + 60
    (panel,) = panels(study)
    assert panel.judge == name_of("judge-1")
    assert (panel.comparisons, panel.gated, panel.steady) == (70, 40, 1.0)
    assert panel.recipes["base"].elo.value == 0
    assert panel.recipes["alpaca-lora"].elo.low > 0


def test_a_judge_that_only_looks_at_the_order_says_nothing(study: Study) -> None:
    with serving(lambda body: said("A")) as server, Endpoint(server.url, "first") as endpoint:
        judge(study, endpoint, against=None)
    (panel,) = panels(study)
    assert panel.steady == 0
    korean = [panel.recipes[name].elo.value for name in ("alpaca-full", "alpaca-lora")]
    assert korean[0] == pytest.approx(korean[1], abs=1)


def test_it_goes_on_after_a_failure(study: Study) -> None:
    budget = 17

    def breaks(body: dict[str, Any]) -> tuple[int, Any]:
        nonlocal budget
        budget -= 1
        return prefers_long(body) if budget >= 0 else (503, "down")

    with serving(breaks) as server:
        with (
            Endpoint(server.url, "judge-1", wait=lambda seconds: None) as endpoint,
            pytest.raises(TryLater, match="run again"),
        ):
            judge(study, endpoint, against=None, jobs=1)
        assert sum("reply" in line for line in lines(study)) == 17
        budget = 1000
        served = len(server.bodies)
        with Endpoint(server.url, "judge-1") as endpoint:
            assert judge(study, endpoint, against=None).asked == 60 - 17
        assert len(server.bodies) - served == 60 - 17
    asked_for = [(one["task"], one["item"], one["left"], one["right"]) for one in lines(study)]
    assert len(set(asked_for)) == len(asked_for) == 100


def test_unreadable_verdicts_are_counted_and_left_out(study: Study) -> None:
    with serving(lambda body: said("음…")) as server, Endpoint(server.url, "odd") as endpoint:
        judge(study, endpoint, against="alpaca-full")
    (panel,) = panels(study)
    assert (panel.unreadable, panel.comparisons) == (15, 10)


def test_agreement_with_people(study: Study) -> None:
    with serving(prefers_long) as server, Endpoint(server.url, "judge-1") as endpoint:
        judge(study, endpoint, against=None)
    decided = [one for one in lines(study) if one["choice"] in ("left", "right")][:10]
    path = study.store / "studies" / "quick" / "votes.jsonl"
    turned = {"left": "right", "right": "left"}
    votes = [
        {**{key: one[key] for key in ("task", "item", "left", "right")}, "voter": "someone-1",
         "choice": turned[one["choice"]] if at < 2 else one["choice"]}
        for at, one in enumerate(decided)
    ]  # fmt: skip
    path.write_text("".join(json.dumps(vote) + "\n" for vote in votes))
    people, model = panels(study)
    assert people.judge is None
    pairs = {(one["item"], frozenset((one["left"], one["right"]))) for one in decided}
    assert model.agreed_on == len(pairs)
    assert model.agreement is not None
    assert 0.5 < model.agreement < 1


def test_the_command_prints_n_and_intervals(study: Study) -> None:
    with serving(prefers_long) as server:
        arguments = ["judge", "quick", "--url", server.url, "--model", "judge-1"]
        done = CliRunner().invoke(app, [*arguments, "--store", str(study.store)])
        assert done.exit_code == 0, done.output
        assert "n = 70 pairs of 5 prompts" in done.output
        assert re.search(r"alpaca-full\s*│\s*\+\d+ \[-?\d+, \d+\]", done.output)
        as_json = CliRunner().invoke(app, [*arguments, "--store", str(study.store), "--json"])
    assert json.loads(as_json.stdout)["asked"] == 0
    assert json.loads(as_json.stdout)["result"]["comparisons"] == 70
