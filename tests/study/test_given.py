"""What is set in the place of a recipe's numbers: typed, for the steps that have it."""

import pytest

from kollama2.errors import BadUsage
from kollama2.study.given import settings

ONE, TWO = ["finetune"], ["pretrain", "prefer"]


def test_values_are_typed_and_reach_the_steps_that_have_them() -> None:
    given = ["lr=1e-4", "2.beta=0.3", "1.targets=[q_proj, v_proj]", "dtype=auto", "rank=8"]
    first, second = settings(given, TWO, "float32")
    assert first == {"lr": 1e-4, "targets": ("q_proj", "v_proj"), "dtype": "float32", "rank": 8}
    assert second == {"lr": 1e-4, "beta": 0.3, "dtype": "float32", "rank": 8}


def test_a_budget_takes_the_place_of_another() -> None:
    (found,) = settings(["bytes=2MB"], ONE, "float32")
    assert found == {"bytes": 2_000_000, "korean_bytes": None, "epochs": None, "steps": None}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("lr", "--set 'lr' has no value; write NAME=VALUE, e.g. lr=1e-4"),
        ("max_lenght=9", "no setting is called 'max_lenght'; did you mean 'max_length'?"),
        ("seed=1", "no setting is called 'seed'"),
        ("2.lr=1", "this recipe has steps 1 to 1; 2 is none"),
        ("rank=x", "the setting rank=x: input should be a valid integer"),
        ("lr=0", "the setting lr=0: input should be greater than 0"),
        ("dtype=float16", "the setting dtype=float16: input should be 'float32' or 'bfloat16'"),
        (
            "bytes=MB",
            "the setting bytes=MB: 'MB' is no amount of bytes; write 50MB (units: B, KB, MB",
        ),
        ("bytes=999999999PB", "'999999999PB' is more than any disk holds; at most 1,000 PB can be"),
        ("bytes=-inf", "the setting bytes=-inf: '-inf' is no amount of bytes"),
        ("lr=inf", "the setting lr=inf: input should be a finite number"),
        ("lr=nan", "the setting lr=nan: input should be a finite number"),
        ("lr=.inf", "the setting lr=.inf: '.inf' is no finite number"),
        ("lr=" + "9" * 5000, "…: '" + "9" * 99 + "… is no int"),
        ("rank=" + "9" * 4000, "…: '" + "9" * 99 + "… is too large a number"),
        ("rank=" + "[" * 5000, "nested deeper than 40"),
        ("9" * 5000 + ".lr=1", "this recipe has steps 1 to 1"),
        ("rank=true", "the setting rank=true: true and false are no numbers"),
        ("epochs=no", "the setting epochs=no: true and false are no numbers"),
        ("betas=[true, 0.9]", "true and false are no numbers"),
        ("targets=q_proj", "'q_proj'; give all-linear, or a list of names such as [q_proj"),
        ("lr=[", "the setting lr=[: input should be a valid number"),
    ],
)
def test_what_cannot_be_is_one_sentence(text: str, sentence: str) -> None:
    with pytest.raises(BadUsage) as caught:
        settings([text], ONE, "float32")
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400
