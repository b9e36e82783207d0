import json
import math
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kollama2 import __version__
from kollama2.errors import BadUsage, Corrupt, Fault, Missing
from kollama2.reporting.board import BoardRow, Leaderboard
from kollama2.reporting.query import query
from kollama2.reporting.table import leaderboard
from kollama2.reporting.terminal import quantity
from tests.reporting import fake


def rows(store: Path, study: str = "quick") -> dict[str, BoardRow]:
    return {row.recipe: row for row in leaderboard(store, study).rows}


def score(store: Path, evaluate: str, measure: str) -> float:
    value = weight = 0.0
    for line in (store / evaluate / "items.jsonl").read_text().splitlines():
        item = json.loads(line)
        if f"{item['task']}/{item['measure']}" == measure:
            value += item["value"]
            weight += item["weight"]
    return value / weight


def cell_of(store: Path, recipe: str) -> dict[str, Any]:
    lock = json.loads((store / "studies" / "quick.json").read_text())
    return next(cell for cell in lock["cells"] if cell["recipe"] == recipe)


def cells(store: Path, recipe: str) -> list[str]:
    lock = json.loads((store / "studies" / "quick.json").read_text())
    return [cell["evaluate"] for cell in lock["cells"] if cell["recipe"] == recipe]


def test_rows_are_the_best_first_and_the_base_stands_where_it_belongs(store: Path) -> None:
    found = leaderboard(store, "quick").rows
    order = [row.recipe for row in found]
    assert order[:2] == ["alpaca-full", "alpaca-lora"]
    assert order[-2:] == ["base", "base-copy"]
    assert [row.recipe for row in found if row.base] == ["base"]


def test_scores_pool_the_seeds(store: Path) -> None:
    each = [score(store, name, "text-ko/bpb") for name in cells(store, "alpaca-lora")]
    base = score(store, cells(store, "base")[0], "text-ko/bpb")
    row = rows(store)["alpaca-lora"]
    assert row.standing is not None
    assert row.standing.versus_base is not None
    assert row.score == pytest.approx(sum(each) / 3, rel=1e-12)
    assert row.standing.seeds == pytest.approx(each, rel=1e-12)
    versus = row.standing.versus_base
    assert versus.difference.value == pytest.approx(sum(each) / 3 - base, rel=1e-9)
    assert versus.gain.value == pytest.approx(100 * (base - sum(each) / 3) / base, rel=1e-9)
    assert versus.gain.low < versus.gain.value < versus.gain.high
    assert versus.gain.low == pytest.approx(-100 * versus.difference.high / base, rel=1e-9)


def test_english_is_flagged_beyond_its_limit(store: Path) -> None:
    flagged = [name for name, row in rows(store).items() if row.english and row.english.flag]
    assert flagged == ["alpaca-full"]
    change = rows(store)["alpaca-full"].english
    assert change is not None
    assert change.change is not None
    assert 4 < change.change.low < change.change.value < change.change.high < 7


def test_a_copy_of_the_base_ties_with_it(store: Path) -> None:
    copy, base = rows(store)["base-copy"].standing, rows(store)["base"].standing
    assert copy is not None
    assert base is not None
    assert copy.versus_base is not None
    assert copy.tier == base.tier
    assert not copy.versus_base.separable
    assert copy.versus_base.difference.value == 0
    said = leaderboard(store, "quick").headline["en"]
    assert "Not separable from the base: base-copy." in said


def test_costs_are_sums_over_the_training_stages(store: Path) -> None:
    cost = rows(store)["alpaca-full"].cost
    assert cost.flops == 6.1e14
    assert cost.korean_bytes == 7_500_000
    assert cost.trainable_parameters == 4_200_000
    assert rows(store)["base"].cost.flops == 0


def test_a_distillation_of_new_rows_and_a_preference_tuning_cost_too(tmp_path: Path) -> None:
    store = fake.write(tmp_path / "store")
    path = store / "studies" / "quick.json"
    lock = json.loads(path.read_text())
    more = {"expand_vocab-aa": {"flops": 2e14, "tokens": 7}, "prefer-bb": {"flops": 1e14}}
    for name, metrics in more.items():
        fake.finish(store / name, {"kind": name.partition("-")[0]}, metrics)
    for cell in lock["cells"]:
        if cell["recipe"] == "alpaca-full":
            cell["path"][-1:-1] = list(more)
    path.write_text(json.dumps(lock))
    before, after = (rows(fake.write(tmp_path / "plain")), rows(store))
    assert after["alpaca-full"].cost.flops == 6.1e14 + 3e14
    # What it read is not text that it was trained on.
    assert after["alpaca-full"].cost.tokens == before["alpaca-full"].cost.tokens
    assert after["alpaca-lora"].cost == before["alpaca-lora"].cost


def test_what_is_missing_is_shown(store: Path) -> None:
    board = leaderboard(store, "quick")
    row = rows(store)["vicuna-lora"]
    assert row.seeds == [0, 1]
    assert row.missing == ["quick 2: waiting"]
    assert "Not computed yet: vicuna-lora (2)." in board.warnings["en"]
    assert any(
        "vicuna-lora, text-ko: items that did not fit" in text and "score: 4 " in text
        for text in board.warnings["en"]
    )
    assert any(
        "alpaca-qlora" in text and "empty answers, counted as failures: 9" in text
        for text in board.warnings["en"]
    )
    assert any("의심스러운 답변(답의 98%가 1번 보기)" in text for text in board.warnings["ko"])


def test_a_recipe_without_any_cell_stands_last(tmp_path: Path) -> None:
    fake.write(tmp_path, seeds=(0,), missing=frozenset({("alpaca-full", 0)}))
    (tmp_path / f"{cells(tmp_path, 'alpaca-full')[0]}.partial").mkdir()
    (tmp_path / f"{cells(tmp_path, 'alpaca-full')[0]}.partial" / "error.log").write_text(
        "Traceback\nRuntimeError: out of luck\n"
    )
    board = leaderboard(tmp_path, "quick")
    assert board.rows[-1].recipe == "alpaca-full"
    assert board.rows[-1].standing is None
    assert board.rows[-1].missing == ["quick 0: failed"]
    assert board.warnings["en"][0].startswith("Failed: alpaca-full (0).")
    assert board.warnings["en"][0].endswith("RuntimeError: out of luck")


def test_without_the_base_there_are_scores_and_no_ranks(tmp_path: Path) -> None:
    fake.write(tmp_path, seeds=(0,), missing=frozenset({("base", 0)}))
    board = leaderboard(tmp_path, "quick")
    assert all(row.standing is None for row in board.rows)
    assert sum(row.score is not None for row in board.rows) == 5
    assert board.headline["en"][0].startswith("Nothing can be ranked yet")


def test_a_study_of_which_nothing_is_computed(tmp_path: Path) -> None:
    names = frozenset((recipe.name, 0) for recipe in fake.RECIPES)
    fake.write(tmp_path, seeds=(0,), missing=names)
    board = leaderboard(tmp_path, "quick")
    assert [row.score for row in board.rows] == [None] * 6
    assert len(board.headline["ko"]) == 1


def test_one_seed_says_so(tmp_path: Path) -> None:
    fake.write(tmp_path, seeds=(0,))
    board = leaderboard(tmp_path, "quick")
    assert board.uncertainty == "items only"
    assert board.headline["en"][-1].startswith("Item uncertainty only")
    assert board.headline["ko"][-1].startswith("문항의 불확실성만")


def test_one_seed_ranks_nothing_and_says_what_more_would_cost(tmp_path: Path) -> None:
    fake.write(tmp_path, seeds=(0,))
    board = leaderboard(tmp_path, "quick")
    assert not board.ranked
    assert board.headline["en"][1].startswith("Each recipe was trained once, so nothing leads")
    assert board.headline["ko"][1].startswith("레시피마다 한 번씩만 학습했으므로")
    places = [row.standing for row in board.rows if row.standing]
    assert {(place.tier, place.p_best, place.ranks) for place in places} == {("", None, None)}
    assert not any(place.versus_base and place.versus_base.separable for place in places)
    flops = sum(row.cost.flops or 0 for row in board.rows)
    assert f"{quantity(flops, 'FLOPs')} each" in board.headline["en"][1]
    read = Leaderboard.from_json(board.to_json()).rows[1].standing
    assert read is not None and (read.tier, read.p_best, read.ranks) == ("", None, None)


def test_the_best_admissible_recipe_is_recommended(tmp_path: Path) -> None:
    fluent = [replace(one, english=one.english / 100, korean=one.korean) for one in fake.RECIPES]
    fake.write(tmp_path, recipes=tuple(fluent))
    said = leaderboard(tmp_path, "quick").headline
    (best,) = (text for text in said["en"] if text.startswith("Recommended: "))
    assert best.startswith("Recommended: alpaca-full, the best of 1 admissible recipe;")
    (take,) = (text for text in said["en"] if text.startswith("To take "))
    assert take.endswith("kollama2 export quick:alpaca-full -o OUT")
    assert leaderboard(tmp_path, "quick").recommended == "alpaca-full"
    assert any(text.startswith("추천: alpaca-full.") for text in said["ko"])


def test_the_scale_of_the_answer_is_said(tmp_path: Path) -> None:
    fake.write(tmp_path)
    for done in tmp_path.glob("evaluate-*/done.json"):
        fake.change(done, lambda record: record["metrics"].update(parameters=3_400_000))
    said = leaderboard(tmp_path, "quick").headline
    assert said["en"][-1].startswith("Measured on a base of 3.4 M parameters;")


def test_no_recipe_is_admissible(store: Path) -> None:
    said = leaderboard(store, "quick").headline["en"]
    assert said[0] == (
        "No recipe is admissible. The nearest is alpaca-full: "
        "English +5.6% bits per byte where 2% is allowed."
    )
    assert not any(text.startswith("Recommended") for text in said)


def test_no_recipe_beats_the_base(tmp_path: Path) -> None:
    worse = fake.Recipe("worse", 0.5, 0.0, 1e12, 10, (("data", "x"),))
    fake.write(tmp_path, recipes=(fake.RECIPES[0], worse), seeds=(0, 1))
    assert leaderboard(tmp_path, "quick").headline["en"][1].startswith("No recipe beats")


def test_a_recipe_with_one_of_three_seeds_is_named(tmp_path: Path) -> None:
    gone = frozenset({("alpaca-full", 0), ("alpaca-full", 1)})
    fake.write(tmp_path, missing=gone)
    said = leaderboard(tmp_path, "quick").headline
    assert any(text.startswith("Trained once so far: alpaca-full. How") for text in said["en"])
    assert any(text.startswith("아직 한 번만 학습한 레시피: alpaca-full.") for text in said["ko"])
    assert not any(text.startswith("Leaving out any one") for text in said["en"])


def test_what_is_equal_has_no_detectable_difference(store: Path, tmp_path: Path) -> None:
    versus = rows(store)["base-copy"].standing
    assert versus is not None and versus.versus_base is not None
    assert math.isnan(versus.versus_base.mde)
    twin = replace(fake.RECIPES[2], flops=0.0)
    others = (fake.RECIPES[0], twin, replace(twin, name="twin"))
    for seeds in ((0,), (0, 1)):
        fake.write(tmp_path, recipes=others, seeds=seeds)
        said = leaderboard(tmp_path, "quick").headline
        assert "Equal to one another on every item: alpaca-lora, twin." in said["en"]
        assert "모든 문항에서 결과가 서로 같은 레시피: alpaca-lora, twin." in said["ko"]
        assert not any("detectable" in one for one in said["en"])
        assert any("nothing was trained (60 items, 10,000 draws)" in one for one in said["en"])


def test_a_base_alone_is_compared_with_nothing(tmp_path: Path) -> None:
    waiting = frozenset({("alpaca-lora", 0)})
    for recipes in (fake.RECIPES[:1], fake.RECIPES[:3:2]):
        store = tmp_path / str(len(recipes))
        fake.write(store, recipes=recipes, seeds=(0,), missing=waiting)
        said = leaderboard(store, "quick").headline
        assert said["en"] == [
            "Only the base (base) was measured on text-ko/bpb, so there is nothing to compare it "
            "with."
        ]
        assert said["ko"][0].startswith("text-ko/bpb 값이 측정된 것은 베이스 모델(base)뿐이라")


def test_equal_records_give_equal_bytes(store: Path, tmp_path: Path) -> None:
    """A killed and resumed study differs in times and machines only."""
    again = tmp_path / "again"
    shutil.copytree(store, again)
    for done in again.glob("*/done.json"):
        more = {"seconds": 99.5, "attempts": 3, "host": "other", "peak_memory_bytes": 1}
        fake.change(done, lambda record: record.update(more, started="x"))  # noqa: B023
    first, second = leaderboard(store, "quick").to_json(), leaderboard(again, "quick").to_json()
    assert first == second
    assert json.loads(first)["rows"][0]["recipe"] == "alpaca-full"
    assert "seconds" not in first
    assert "node-1" not in first


def test_suites_with_a_measure_of_the_same_name_stay_apart(tmp_path: Path) -> None:
    fake.write(tmp_path, seeds=(0,))
    path = tmp_path / "studies" / "quick.json"
    lock = json.loads(path.read_text())
    lock["suites"]["second"] = lock["suites"]["quick"]
    lock["cells"] += [
        {**cell, "suite": "second", "evaluate": cell["evaluate"] + "0"} for cell in lock["cells"]
    ]
    for cell in lock["cells"][:6]:
        again = tmp_path / (cell["evaluate"] + "0")
        shutil.copytree(tmp_path / cell["evaluate"], again)
        fake.change(again / "done.json", lambda record: record.update(name=again.name))  # noqa: B023
    path.write_text(json.dumps(lock))
    board = leaderboard(tmp_path, "quick")
    assert {"text-ko/bpb", "second:text-ko/bpb"} <= set(board.measures)
    assert board.uncertainty == "items only"


@pytest.mark.parametrize(
    ("higher", "better"), [(True, "higher"), (False, "lower"), (None, "unknown")]
)
def test_a_measure_has_the_direction_that_its_evaluation_recorded(
    tmp_path: Path, higher: bool | None, better: str
) -> None:
    fake.write(tmp_path, seeds=(0,))
    for place in tmp_path.glob("evaluate-*"):
        items, done = place / "items.jsonl", place / "done.json"
        fake.rewrite(items, items.read_text().replace('"accuracy"', '"perplexity"'))
        about = {"quiz-ko/perplexity": {"title": "perplexity", "unit": "", "higher": higher}}
        fake.change(done, lambda record: record["metrics"].update(measures=about))  # noqa: B023
    board = leaderboard(tmp_path, "quick")
    assert board.measures["quiz-ko/perplexity"] == better
    compared = [row.measures["quiz-ko/perplexity"].difference for row in board.rows if not row.base]
    assert all(one is None for one in compared) == (higher is None)


def test_unknown_study(store: Path) -> None:
    with pytest.raises(BadUsage, match=r"no study 'nope' \(it knows: quick\)"):
        leaderboard(store, "nope")
    with pytest.raises(BadUsage):
        leaderboard(store, "../quick")


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("items.jsonl", '{"task": "x"}\n', "line 1"),
        ("items.jsonl", "{", "line 1"),
        ("done.json", "[]", "JSON object"),
        ("done.json", "{", "not JSON"),
    ],
)
def test_damaged_records(tmp_path: Path, file: str, text: str, message: str) -> None:
    fake.write(tmp_path, seeds=(0,))
    fake.rewrite(tmp_path / cells(tmp_path, "alpaca-lora")[0] / file, text)
    with pytest.raises(Corrupt, match=message):
        leaderboard(tmp_path, "quick")


@pytest.mark.parametrize(("writer", "fault"), [("0.0.1", Corrupt), ("10.2.0", Missing)])
def test_no_field_of_a_record_or_a_lock_is_missed_without_a_sentence(
    tmp_path: Path, writer: str, fault: type[Fault]
) -> None:
    fake.write(tmp_path, seeds=(0,))
    place = tmp_path / cells(tmp_path, "alpaca-lora")[0]
    said, sql = 0, "SELECT * FROM stages, scores LIMIT 1"
    lock = tmp_path / "studies" / "quick.json"
    for file, put in ((place / "done.json", fake.rewrite), (lock, Path.write_text)):
        whole = {**json.loads(file.read_text()), "kollama2": writer}
        for name in whole.keys() - {"kollama2"}:
            lacking = {**whole, "more": {"of": "it"}}
            del lacking[name]
            put(file, json.dumps(lacking))
            for ask in (lambda: leaderboard(tmp_path, "quick"), lambda: query(tmp_path, sql)):
                try:
                    ask()
                except Fault as found:
                    assert type(found) is fault, found
                    said += 1
        put(file, json.dumps({**whole, "more": {"of": "it"}}))
        leaderboard(tmp_path, "quick")  # more than this version knows is no damage
    assert said > 20


def test_damaged_lock(tmp_path: Path) -> None:
    fake.write(tmp_path, seeds=(0,))
    path = tmp_path / "studies" / "quick.json"
    lock = json.loads(path.read_text())
    path.write_text(json.dumps({**lock, "cells": [{"recipe": "x"}]}))
    with pytest.raises(Corrupt, match=r"has no field 'cells\.0\.seed'"):
        leaderboard(tmp_path, "quick")
    lock["cells"][1]["base"] = True
    path.write_text(json.dumps(lock))
    with pytest.raises(Corrupt, match="exactly one recipe"):
        leaderboard(tmp_path, "quick")


def test_who_ties_behind_the_leader_and_at_which_price(tmp_path: Path) -> None:
    twin = fake.Recipe("twin", -1.05, 0.01, 1.0e14, 310_000, (("data", "vicuna"),))
    fake.write(tmp_path, recipes=(*fake.RECIPES[:2], fake.RECIPES[4], twin), seeds=(0, 1, 2))
    board = leaderboard(tmp_path, "quick")
    second = next(one for one in board.headline["en"] if "fewer bits than" in one)
    assert "at equal Korean bytes, " in second
    assert second.endswith("× the training FLOPs.")
    tied = [one for one in board.headline["en"] if one.startswith("Not separable from one another")]
    names = [row.recipe for row in board.rows if row.recipe in ("twin", "vicuna-lora")]
    assert tied[0].startswith(f"Not separable from one another: {', '.join(names)} (minimum")
    assert any("alpaca-full" in one and "양쪽에서 모두" in one for one in board.headline["ko"])


def test_a_leaderboard_comes_back_from_its_json(store: Path) -> None:
    text = leaderboard(store, "quick").to_json()
    read = Leaderboard.from_json(text)
    assert json.loads(read.to_json()) == json.loads(text)
    # What is not finite has no number in JSON; it comes back as NaN and not as something missing.
    score = f'"score": {json.dumps(read.rows[1].measures["text-ko/bpb"].score)}'
    row = Leaderboard.from_json(text.replace(score, '"score": null')).rows[1]
    assert math.isnan(row.measures["text-ko/bpb"].score)
    assert row.score is None
    with pytest.raises(Corrupt, match=r"no leaderboard: rows: .*run the study again"):
        Leaderboard.from_json(text.replace('"rows"', '"lines"'))
    later = re.sub('"kollama2": "[^"]+"', '"kollama2": "99.1"', text)
    assert later != text
    with pytest.raises(Missing, match=rf"by kollama2 99\.1 and cannot .* kollama2 {__version__}"):
        Leaderboard.from_json(later.replace('"rows"', '"lines"'))
