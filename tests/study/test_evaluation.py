from pathlib import Path

import pytest

from kollama2.errors import BadUsage, Notice
from kollama2.evaluation.kinds import Mean
from kollama2.evaluation.suite import load_suite
from kollama2.study.evaluation import Wanted, wanted_suite


def test_a_limit_holds_in_every_task_of_a_suite() -> None:
    whole = load_suite("ko-tiny")
    found = wanted_suite(Wanted("ko-tiny", limit=80), Path())
    sizes = {task.name: getattr(task, "size", task.limit) for task in found.tasks}
    assert sizes == {
        "text-ko": 80, "text-en": 80, "passages-ko": 80, "translate": 80, "talk-ko": 80,
        "copa": 80, "hellaswag": 60, "nli": 80, "sts": 80, "in-context": 60, "answers-ko": 50,
        "choices-ko": None,
    }  # fmt: skip
    assert wanted_suite(Wanted("ko-tiny"), Path()) == whole
    tasks = wanted_suite(Wanted(tasks=("ko_copa_1", "ko_wic_1"), limit=3), Path()).tasks
    assert [task.limit for task in tasks] == [3, 3]


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (Wanted("quick", num_fewshot=2), "num_fewshot is for tasks of lm-eval"),
        (Wanted(tasks=("ko_copa_1",), only=("copa",)), "only chooses among the tasks of a suite"),
    ],
)
def test_no_wish_is_ignored(wanted: Wanted, message: str) -> None:
    with pytest.raises(BadUsage, match=message):
        wanted_suite(wanted, Path())


def test_a_task_gets_as_many_items_as_it_needs() -> None:
    with pytest.warns(Notice, match="^instruct-ko measures nothing with less than 2 items, so it"):
        found = wanted_suite(Wanted("quick", limit=1), Path())
    limits = {task.name: task.limit for task in found.tasks if not isinstance(task, Mean)}
    assert limits.pop("instruct-ko") == 2
    assert set(limits.values()) == {1}
