"""The frontier: which combinations there are, and which of them nothing beats."""

from pathlib import Path

from kollama2.stages import Merge, Source
from kollama2.study.frontier import frontier, pareto, points

BASE = "builtin:miniature"


def test_all_free_combinations(tmp_path: Path) -> None:
    alone = frontier(BASE, BASE, store=tmp_path)
    assert list(alone.stages) == ["base", "ko", "0.25 ko", "0.5 ko", "0.75 ko"]
    assert list(alone.pairs) == ["base and ko"]
    made = frontier(BASE, BASE, chat=BASE, instruct=BASE, store=tmp_path)
    assert len(made.stages) == len({stage.key for stage in made.stages.values()}) == 25
    quarter = made.stages["0.25 ko"].model
    assert isinstance(quarter, Merge)
    assert quarter.settings.weight == 0.75  # of the base
    vector = made.stages["ko-sft + 0.5 chat vector"].model
    shadow = made.stages["chat + 1 (ko - base)"].model
    assert isinstance(vector, Merge)
    assert isinstance(shadow, Merge)
    assert isinstance(shadow.model, Source)
    assert (shadow.model.alias, shadow.others[0].alias) == ("chat", "ko")  # type: ignore[union-attr]
    assert [m.alias for m in (vector.model, vector.others[0], vector.base)] == [  # type: ignore[union-attr]
        "ko-sft",
        "chat",
        "base",
    ]


def test_pareto() -> None:
    assert pareto([(1, 0), (0.5, 1), (0.4, 0.9), (1, 0), (1, -1)]) == [
        True,
        True,
        False,
        True,
        False,
    ]
    assert pareto([(0, 0)]) == [True]


def test_gain_and_loss_are_shares_of_the_base() -> None:
    found = points(
        {
            "base": {"t/bpb": 2.0, "e/bpb": 1.0},
            "ko": {"t/bpb": 1.0, "e/bpb": 1.5},
            "bad": {"t/bpb": 1.5, "e/bpb": 1.6},
        },
        "t/bpb",
        "e/bpb",
    )
    assert [(p.name, p.korean_gain, round(p.english_loss, 6), p.best) for p in found] == [
        ("ko", 0.5, 0.5, True),
        ("bad", 0.25, 0.6, False),
        ("base", 0.0, 0.0, True),
    ]
