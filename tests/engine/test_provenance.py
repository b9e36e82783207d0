import subprocess
import sys
from importlib import metadata

import pytest

from kollama2.engine import provenance


def test_it_names_versions_machine_and_commit() -> None:
    found = provenance.provenance(threads=2)
    assert found["packages"]["torch"] == metadata.version("torch")
    assert found["threads"] == 2
    assert found["memory_bytes"] > 1e8
    assert found["git"] is None or len(found["git"].rstrip("+")) == 40
    assert provenance.peak_memory_bytes() > 1e7


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("token hf_abcdefghijklmnopqrstuvwx end", "token *** end"),
        ("Authorization: Bearer abcdefghijk", "Authorization: Bearer ***"),
        ("https://h/f?Policy=abc&Signature=d~e&x=1", "https://h/f?***&***&x=1"),
        ("key=my-own-secret-1", "key=***"),
        ("나무 100 tokens/s, lr 2e-5", "나무 100 tokens/s, lr 2e-5"),
    ],
)
def test_secrets_are_blotted_out(text: str, clean: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_API_KEY", "my-own-secret-1")
    assert provenance.redact(text) == clean


def test_importing_the_engine_imports_nothing_heavy() -> None:
    code = """
import sys
import kollama2.engine.launch, kollama2.engine.gc, kollama2.engine.graph
heavy = {"torch", "transformers", "trl", "peft", "datasets", "pandas", "numpy", "pyarrow"}
sys.exit(str(sorted(heavy & set(sys.modules))) if heavy & set(sys.modules) else 0)
"""
    subprocess.run([sys.executable, "-c", code], check=True)
