"""JSON files of model folders: what they cannot hold is named with its place."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kollama2.errors import BadData, StorageTrouble
from kollama2.model.files import read_json
from kollama2.model.shapes import check_shape

ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=5,
)
NAMES = (
    "config.json",
    "generation_config.json",
    "tokenizer_config.json",
    "tokenizer.json",
    "adapter_config.json",
    "model.safetensors.index.json",
)
KEYS = st.sampled_from(
    "model_type text_config vocab_size eos_token_id chat_template added_tokens_decoder model "
    "added_tokens eos_token weight_map r peft_type base_model_name_or_path".split()
)


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("config.json", {"vocab_size": "9"}, "vocab_size is '9', and it should be a valid"),
        (
            "config.json",
            {"text_config": {"head_dim": 0}},
            "text_config.head_dim is 0, and",
        ),
        (
            "config.json",
            {"eos_token_id": [1, "2"]},
            "eos_token_id.1 is '2', and it",
        ),
        ("tokenizer.json", {"added_tokens": [{"id": 1}]}, "added_tokens.0.content is None, and it"),
        (
            "tokenizer_config.json",
            {"added_tokens_decoder": {"-1": {"content": "a"}}},
            "should match",
        ),
        ("model.safetensors.index.json", {}, "weight_map is None, and it is needed"),
    ],
)
def test_a_place_is_named(name: str, value: Any, sentence: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(json.dumps(value))
    with pytest.raises(BadData, match=sentence) as error:
        read_json(tmp_path / name)
    assert str(error.value).startswith(f"{tmp_path / name}: ")


@given(name=st.sampled_from(NAMES), value=st.dictionaries(KEYS, ANY, max_size=4))
def test_any_value_passes_or_is_named_in_one_line(name: str, value: dict[str, Any]) -> None:
    try:
        check_shape(Path(name), value)
    except BadData as fault:
        assert "\n" not in str(fault)
        assert len(str(fault)) < 400


def test_what_is_no_file_is_told(tmp_path: Path) -> None:
    assert read_json(tmp_path / "config.json") == {}
    (tmp_path / "config.json").mkdir()
    with pytest.raises(StorageTrouble, match="Is a directory"):
        read_json(tmp_path / "config.json")
    (tmp_path / "tokenizer.json").write_text("[" * 100_000)
    with pytest.raises(BadData, match="is not valid JSON: maximum recursion depth"):
        read_json(tmp_path / "tokenizer.json")
