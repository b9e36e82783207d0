"""The notebook of a first study is valid, holds no outputs, and runs."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from tests.cli.test_commands import STUDY, SUITE, TEST

ROOT = Path(__file__).parent.parent.parent
NOTEBOOK = ROOT / "docs" / "quickstart.ipynb"


def test_it_is_valid_and_holds_no_outputs() -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [(cell.outputs, cell.execution_count) for cell in cells] == [([], None)] * len(cells)


@pytest.mark.slow
def test_it_runs_and_shows_its_results(tmp_path: Path, tiny_model: Path) -> None:
    (tmp_path / "s.yaml").write_text(STUDY.format(base=tiny_model), encoding="utf-8")
    (tmp_path / "small.yaml").write_text(SUITE, encoding="utf-8")
    (tmp_path / "test.txt").write_text(TEST, encoding="utf-8")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    (named,) = (one for one in notebook.cells if "parameters" in one.metadata.get("tags", ()))
    named.source = 'study = "s.yaml"'
    NotebookClient(notebook, resources={"metadata": {"path": str(tmp_path)}}).execute()
    shown = {cell.id: cell.outputs for cell in notebook.cells if cell.cell_type == "code"}
    for name in ("plan", "table", "frame"):
        (output,) = shown[name]
        assert "full" in output.data["text/html"]
    assert {output.name for output in shown["run"]} == {"stdout"}
    assert "finetune full finished\n" in "".join(output.text for output in shown["run"])
    assert "report.html" in shown["page"][0].data["text/plain"]
