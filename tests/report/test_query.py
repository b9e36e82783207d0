from pathlib import Path

import pytest

from kollama2.errors import BadUsage
from kollama2.report.query import query


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
