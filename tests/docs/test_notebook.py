"""The notebook of a first study is valid and holds no outputs."""

from pathlib import Path

import nbformat

ROOT = Path(__file__).parent.parent.parent
NOTEBOOK = ROOT / "docs" / "quickstart.ipynb"


def test_it_is_valid_and_holds_no_outputs() -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [(cell.outputs, cell.execution_count) for cell in cells] == [([], None)] * len(cells)
