"""Every block of docs/python.md is run as printed, in order, on files of the names that it uses."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from kollama2.miniature import corpora
from tests.test_readme import ROOT, SUITE

BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
STUDY = """\
name: page
base: {{uri: "file:{base}"}}
sources: {{a: {{uri: "file:my_data.json"}}}}
axes:
  method:
    full: {{kind: finetune, data: a, method: full, lr: 3.0e-3, batch: 8, steps: 2}}
    lora: {{kind: finetune, data: a, method: lora, rank: 4, lr: 1.0e-2, batch: 8, steps: 2}}
suites: [my-suite.yaml]
"""


@pytest.mark.slow
def test_the_blocks_of_the_page(tmp_path: Path, tiny_model: Path) -> None:
    made = corpora.write("alpaca-ko", tmp_path, size=40)
    (tmp_path / made["file"]).rename(tmp_path / "my_data.json")
    (tmp_path / "study.yaml").write_text(STUDY.format(base=tiny_model), encoding="utf-8")
    (tmp_path / "my-suite.yaml").write_text(SUITE, encoding="utf-8")
    text = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
    blocks = BLOCK.findall(text)
    assert len(blocks) == text.count("```python")
    (tmp_path / "page.py").write_text("\n".join(blocks), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "page.py"],
        cwd=tmp_path, env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True, text=True, timeout=280, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("page: text-ko/bpb") == 1
    assert "did you mean 'kullm-lora'?" in done.stdout
    assert (tmp_path / "my-model" / "model.safetensors").is_file()
