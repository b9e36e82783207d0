"""The frontier: which combinations there are."""

from pathlib import Path

from kollama2.stages import Merge, Source
from kollama2.study.frontier import combinations

BASE = "builtin:miniature"


def test_all_free_combinations(tmp_path: Path) -> None:
    alone, pairs = combinations(BASE, BASE, store=tmp_path)
    assert list(alone) == ["base", "ko", "0.25 ko", "0.5 ko", "0.75 ko"]
    assert list(pairs) == ["base and ko"]
    made, _ = combinations(BASE, BASE, chat=BASE, instruct=BASE, store=tmp_path)
    assert len(made) == len({stage.key for stage in made.values()}) == 25
    quarter = made["0.25 ko"].model
    assert isinstance(quarter, Merge)
    assert quarter.settings.weight == 0.75  # of the base
    vector = made["ko-sft + 0.5 chat vector"].model
    shadow = made["chat + 1 (ko - base)"].model
    assert isinstance(vector, Merge)
    assert isinstance(shadow, Merge)
    assert isinstance(shadow.model, Source)
    assert (shadow.model.alias, shadow.others[0].alias) == ("chat", "ko")  # type: ignore[union-attr]
    assert [m.alias for m in (vector.model, vector.others[0], vector.base)] == [  # type: ignore[union-attr]
        "ko-sft",
        "chat",
        "base",
    ]
