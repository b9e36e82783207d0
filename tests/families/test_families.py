"""Every family through everything that is done with a model, and the page that says so."""

from collections.abc import Callable

import pytest

from tests.families.columns import COLUMNS, QUICK
from tests.families.family import Family
from tests.family_tokenizers import FORMS

CELLS = [
    pytest.param(name, column, marks=() if column in QUICK else pytest.mark.slow)
    for name in FORMS
    for column in COLUMNS
]


@pytest.mark.parametrize(("name", "column"), CELLS)
def test_a_cell(name: str, column: str, family: Callable[[str], Family]) -> None:
    COLUMNS[column](family(name))
