import json
from pathlib import Path

import pytest

from kollama2.errors import BadData
from kollama2.evaluation.records import load_items


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
        ("{", "line 1 is not an item's record"),
        ('{"task": "t"}', "line 1"),
        ("[]", "line 1"),
        (line() + line(), "t/bpb: an item stands twice"),
    ],
)
def test_what_is_no_record(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "items.jsonl"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(BadData, match=message):
        load_items(path)
