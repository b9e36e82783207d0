import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kollama2.errors import Corrupt
from kollama2.records.items import Item, load_items, write_lines


def line(**fields: object) -> str:
    record = {"task": "t", "measure": "bpb", "item": "1", "cluster": "1", "value": 3, "weight": 2}
    return json.dumps(record | fields) + "\n"


def test_records_become_arrays_in_the_order_of_items(tmp_path: Path) -> None:
    path = tmp_path / "items.jsonl"
    path.write_text(
        line(item="b", cluster="x", value=8.0, weight=4.0)
        + line(measure="gain", value=0.5, weight=1)
        + line(item="a", cluster="y", known_in="en"),
        encoding="utf-8",
    )
    found = load_items(path)
    assert list(found) == ["t/bpb", "t/gain"]
    assert found["t/bpb"].item.tolist() == ["a", "b"]
    assert found["t/bpb"].cluster.tolist() == ["y", "x"]
    assert found["t/bpb"].score == pytest.approx(11 / 6)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "no item's record in line 1"),
        ('{"task": "t"}', "line 1"),
        ("[]", "line 1"),
        (line() + "\n" + line(item="2"), "line 2"),
        (line().rstrip() + ", " + line(item="2"), "line 1"),
        (line() + line(item="2", value="much"), "line 2"),
        (line() + line(item=None), "line 2"),
        (line() + line(), "has an item twice among those of t/bpb"),
    ],
)
def test_what_is_no_record(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "items.jsonl"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(Corrupt, match=message):
        load_items(path)


def test_no_file_is_said_and_an_empty_one_has_no_measure(tmp_path: Path) -> None:
    with pytest.raises(Corrupt, match=r"items\.jsonl is missing from a finished stage"):
        load_items(tmp_path / "items.jsonl")
    (tmp_path / "items.jsonl").write_text("")
    assert load_items(tmp_path / "items.jsonl") == {}


NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\0"))  # numpy cuts it off
NUMBERS = st.floats(allow_nan=True, allow_infinity=True, width=64)


@given(st.dictionaries(NAMES, NUMBERS, min_size=1), st.booleans())
def test_what_was_written_is_read_to_the_bit(
    tmp_path_factory: pytest.TempPathFactory, values: dict[str, float], strata: bool
) -> None:
    path = tmp_path_factory.mktemp("items") / "items.jsonl"
    more = {"stratum": "s"} if strata else {}
    write_lines(
        path,
        [
            {**Item(task="t", measure="m", item=key, cluster=key, value=one, weight=2), **more}
            for key, one in values.items()
        ],
    )
    (found,) = load_items(path).values()
    assert found.item.tolist() == sorted(values)
    assert np.array_equal(found.value, [values[key] for key in sorted(values)], equal_nan=True)
    assert (found.stratum is not None) is strata
