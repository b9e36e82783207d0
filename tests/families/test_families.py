"""Every family through everything that is done with a model, and the page that says so."""

from collections.abc import Callable

import pytest

from tests.families import columns
from tests.families.columns import COLUMNS
from tests.families.family import Family
from tests.families.table import COMMAND, PAGE, SENTENCES, cell, page
from tests.family_models import QUICK
from tests.family_tokenizers import FORMS

CELLS = [
    pytest.param(
        name,
        column,
        marks=() if FORMS[name].model in QUICK and column in columns.QUICK else pytest.mark.slow,
    )
    for name in FORMS
    for column in COLUMNS
]


@pytest.mark.parametrize(("name", "column"), CELLS)
def test_a_cell(name: str, column: str, family: Callable[[str], Family]) -> None:
    cell(name, column)(family(name))


def test_at_least_fifteen_families_can_do_everything() -> None:
    assert set(SENTENCES) <= {(name, column) for name in FORMS for column in COLUMNS}
    assert len(set(FORMS) - {name for name, _ in SENTENCES}) >= 15


def test_the_page_is_the_table() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), f"run {COMMAND}"
