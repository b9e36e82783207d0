import json
import shutil
import time
from pathlib import Path

import pytest

from kollama2.engine.commit import seal
from kollama2.errors import BadUsage
from kollama2.reporting import query as asked
from kollama2.reporting.query import query


def test_views(store: Path) -> None:
    found = query(store, "SELECT kind, count(*) AS n FROM stages GROUP BY kind ORDER BY kind")
    assert found.columns == ("kind", "n")
    assert found.rows == (
        ("contamination", 4), ("encode", 2), ("evaluate", 13), ("finetune", 11), ("source", 3),
    )  # fmt: skip
    found = query(store, "SELECT DISTINCT recipe FROM scores WHERE base")
    assert found.rows == (("base",),)
    found = query(store, "SELECT count(DISTINCT item) FROM items WHERE task = 'text-ko'")
    assert found.rows == ((60,),)
    found = query(store, "SELECT max(step), count(DISTINCT stage) FROM curves")
    assert found.rows == ((80, 11),)


def test_scores_agree_with_items(store: Path) -> None:
    found = query(
        store,
        "SELECT max(abs(s.score - i.score)) FROM (SELECT stage, task || '/' || measure AS measure,"
        " sum(value) / sum(weight) AS score FROM items GROUP BY ALL) i JOIN scores s"
        " USING (stage, measure)",
    )
    assert found.rows[0][0] < 1e-9


def test_metrics_are_json(store: Path) -> None:
    found = query(store, "SELECT max((metrics->>'flops')::DOUBLE) FROM stages")
    assert found.rows == ((6.1e14,),)


@pytest.mark.parametrize(
    "sql",
    [
        "SELEC 1",
        "SELECT nope FROM stages",
        "",
        "SELECT 1; SELECT 2",
        "DROP TABLE stages",
        "COPY stages TO 'x.csv'",
        "SELECT * FROM read_text('/etc/hostname')",
        "ATTACH 'x.db'",
        "SET enable_external_access = true",
    ],
)
def test_what_a_query_may_not_be(store: Path, sql: str) -> None:
    with pytest.raises(BadUsage) as caught:
        query(store, sql)
    assert "\n" not in str(caught.value)


def test_no_store(tmp_path: Path) -> None:
    with pytest.raises(BadUsage, match="no store"):
        query(tmp_path / "none", "SELECT 1")


def test_an_empty_store_has_empty_views(tmp_path: Path) -> None:
    assert query(tmp_path, "SELECT count(*) FROM items, scores, stages, curves").rows == ((0,),)


@pytest.mark.parametrize(
    ("sql", "says"),
    [
        (
            "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT 1 FROM t) SELECT count(*) FROM t",
            "took longer than 1 s",
        ),
        ("SELECT count(*) FROM range(10000000) a, range(10000000) b", "took longer than 1 s"),
        ("SELECT * FROM range(1000)", "has more than 100 rows"),
        ("SELECT list(repeat('x', 1000000) || i) FROM range(100000) t(i)", "Out of Memory|longer"),
        ("SELECT '\udcff'", "holds bytes that are no UTF-8"),
    ],
)
def test_what_takes_too_much(
    store: Path, monkeypatch: pytest.MonkeyPatch, sql: str, says: str
) -> None:
    monkeypatch.setattr(asked, "SECONDS", 1.0)
    monkeypatch.setattr(asked, "MEMORY", "200MB")
    monkeypatch.setattr(asked, "ROWS", 100)
    began = time.monotonic()
    with pytest.raises(BadUsage, match=says) as caught:
        query(store, sql)
    assert "\n" not in str(caught.value)
    assert time.monotonic() - began < 10


def test_half_a_character_is_no_trouble(store: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(store, tmp_path / "store")
    path = next(path for path in sorted(copy.glob("evaluate-*/items.jsonl")))
    lines = path.read_text(encoding="utf-8").splitlines()
    first = json.loads(lines[0]) | {"item": "half \ud800"}
    path.write_text("\n".join([json.dumps(first), *lines[1:]]) + "\n", encoding="utf-8")
    seal(path.parent)
    found = query(copy, "SELECT item FROM items WHERE item LIKE 'half%'")
    assert found.rows == (("half ?",),)
