import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from kollama2.engine.stage import Stage, why
from tests.engine.fakes import Corpus, Look, Part, Train, golden

unhurried = settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
texts = st.text(max_size=8)
corpora = st.builds(Corpus, text=texts, revision=st.none() | texts)
parts = st.builds(Part, source=corpora, share=st.floats(0, 1))
trains: st.SearchStrategy[Train] = st.builds(
    Train,
    model=st.none() | corpora | st.deferred(lambda: trains),
    data=st.lists(parts, max_size=2).map(tuple),
    named=st.dictionaries(texts, corpora, max_size=2),
    lr=st.floats(0, 1),
    seed=st.integers(),
)


def test_the_key_is_the_same_in_every_process() -> None:
    result = subprocess.run(
        [sys.executable, "-c", "from tests.engine.fakes import golden; print(golden().name)"],
        env={**os.environ, "PYTHONHASHSEED": "1234", "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout.strip() == golden().name == "train-946ad9de61cb"


@unhurried
@given(trains)
def test_a_recipe_comes_back_with_the_same_key(stage: Train) -> None:
    again = Stage.model_validate(stage.recipe())
    assert again.key == stage.key
    assert again == stage
    assert again.recipe() == stage.recipe() == stage.model_dump() == stage.model_dump(mode="json")
    assert Train.model_validate_json(stage.model_dump_json()).key == stage.key


@unhurried
@given(trains, st.randoms())
def test_the_order_of_fields_does_not_matter(stage: Train, random: Any) -> None:
    def shuffled(value: Any) -> Any:
        if isinstance(value, dict):
            items = [(name, shuffled(item)) for name, item in value.items()]
            random.shuffle(items)
            return dict(items)
        return [shuffled(item) for item in value] if isinstance(value, list) else value

    assert Stage.model_validate(shuffled(stage.recipe())).key == stage.key


@unhurried
@given(trains)
def test_equal_stages_are_found_once_however_deep(stage: Train) -> None:
    mixed = Train(model=stage, data=(Part(source=Corpus(text="a")),), named={"x": Corpus(text="a")})
    names = [needed.name for needed in mixed.inputs()]
    assert names == [stage.name, Corpus(text="a").name]


def test_a_nested_stage_counts_by_its_key_alone() -> None:
    class Old(Stage):
        kind: Literal["old"] = "old"
        size: int = 1

    class New(Stage):
        kind: Literal["old"] = "old"
        size: int = 1
        added_later: str = "as before"

    class User(Stage):
        kind: Literal["user"] = "user"
        of: tuple[Stage, ...]

    assert User(of=(Old(size=2),)).key == User(of=(New(size=2),)).key
    assert User(of=(Old(size=2),)).key != User(of=(New(size=2, added_later="no"),)).key
    assert User(of=(New(size=2),)).recipe()["of"][0]["added_later"] == "as before"


def test_kind_and_version_count_though_they_are_no_choices() -> None:
    class A(Stage):
        kind: Literal["a"] = "a"

    class B(Stage):
        kind: Literal["b"] = "b"

    class A2(Stage):
        version = 2
        kind: Literal["a"] = "a"

    assert len({A().key, B().key, A2().key}) == 3


def test_models_in_a_union_are_told_apart_by_their_tag() -> None:
    class Linear(BaseModel):
        shape: Literal["linear"] = "linear"
        warmup: int = 0

    class Cosine(BaseModel):
        shape: Literal["cosine"] = "cosine"
        warmup: int = 0

    class Schedule(Stage):
        kind: Literal["schedule"] = "schedule"
        of: Linear | Cosine

    assert Schedule(of=Linear()).key != Schedule(of=Cosine()).key


@pytest.mark.parametrize("written", ["2e-5", "0.00002", "2E-05", 2.0e-5, "0.2e-4"])
def test_one_number_has_one_key(written: Any) -> None:
    assert Train(lr=written).key == Train(lr=2e-5).key == Train().key


def test_sets_and_other_unstable_values_are_refused_where_they_are_written() -> None:
    class Bag(Stage):
        kind: Literal["bag"] = "bag"
        words: Any

    for value in ({"a", "b"}, frozenset("a"), {1: "a"}, Path("a"), b"a", float("nan"), object()):
        with pytest.raises((TypeError, ValidationError), match=r"words|finite"):
            Bag(words=value)
    with pytest.raises(ValidationError):
        Train(lr=float("inf"))


def test_stages_are_closed_and_frozen() -> None:
    with pytest.raises(ValidationError, match="forbidden"):
        Corpus(text="a", revison="b")  # type: ignore[call-arg]
    with pytest.raises(ValidationError, match="frozen"):
        Corpus(text="a").text = "b"  # type: ignore[misc]


def test_a_changed_copy_has_a_key_of_its_own() -> None:
    stage = Train(seed=1)
    assert stage.model_copy(update={"seed": 2}).key == Train(seed=2).key != stage.key
    with pytest.raises(ValidationError):
        stage.model_copy(update={"sed": 2})


def test_stages_work_in_sets_and_dictionaries() -> None:
    assert len({Corpus(text="a"), Corpus(text="a"), Corpus(text="b")}) == 2
    assert {golden(): 1}[golden()] == 1
    assert Corpus(text="a") != "corpus"


def test_cached_values_are_no_fields() -> None:
    stage = golden()
    assert stage.key
    assert set(stage.recipe()) == set(Train.model_fields)


def test_a_stage_without_work_says_so() -> None:
    class Idle(Stage):
        kind: Literal["idle"] = "idle"

    with pytest.raises(TypeError, match="defines no run"):
        Idle().run(None)  # type: ignore[arg-type]


def test_why_names_the_fields_that_differ() -> None:
    a = golden()
    b = a.model_copy(update={"seed": 7, "model": Train(model=Corpus(text="물"), lr=3e-4)})
    assert why(a.recipe(), b.recipe()) == [("model.model.text", "나무", "물"), ("seed", 1, 7)]
    assert why(a.recipe(), a.recipe()) == []
    longer = a.model_copy(update={"data": (*a.data, Part(source=Corpus(text="둘")))})
    assert ("data[1].source.text", None, "둘") in why(a.recipe(), longer.recipe())
    assert Look().name.startswith("look-")
