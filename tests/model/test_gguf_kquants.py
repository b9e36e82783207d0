"""K-quants: the types of llama.cpp's mixtures, and files that are the model within their steps."""

from collections import Counter
from pathlib import Path

import pytest

from kollama2.errors import Missing
from kollama2.model.folder import ModelFolder
from kollama2.model.gguf import kquants
from kollama2.model.gguf.file import Gguf
from kollama2.model.gguf.kquants import mixed
from kollama2.model.gguf.prove import prove
from kollama2.model.gguf.write import write_gguf
from tests.tiny import write_model

DEAR = {0, 1, 2, 3, 6, 9, 12, 15, 18, 21, 24, 27, 28, 29, 30, 31}
"""Of 32 layers those whose values and second matrices get more bits."""


def types(mixture: str, width: int, layers: int = 32) -> dict[str, Counter[str]]:
    parts = ("attn_q", "attn_v", "ffn_down")
    return {
        part: Counter(
            mixed(f"blk.{layer}.{part}.weight", width, mixture, layers, table=False)
            for layer in range(layers)
        )
        for part in parts
    }


def test_a_mixture_is_that_of_llama_quantize() -> None:
    both = Counter({"Q4_K": 16, "Q6_K": 16})
    assert types("Q4_K_M", 4096) == {"attn_q": {"Q4_K": 32}, "attn_v": both, "ffn_down": both}
    assert types("Q5_K_M", 4096)["ffn_down"] == {"Q5_K": 16, "Q6_K": 16}
    assert set(types("Q6_K", 4096)["attn_q"]) == {"Q6_K"}
    for layer in range(32):
        found = mixed(f"blk.{layer}.ffn_down.weight", 4096, "Q4_K_M", 32, table=False)
        assert found == ("Q6_K" if layer in DEAR else "Q4_K")
    largest = types("Q4_K_M", 8192, layers=80)
    assert largest["attn_v"] == {"Q5_K": 40, "Q6_K": 40}
    assert largest["ffn_down"] == {"Q4_K": 40, "Q6_K": 40}
    assert mixed("token_embd.weight", 4096, "Q4_K_M", 32, table=False) == "Q4_K"
    assert mixed("token_embd.weight", 4096, "Q4_K_M", 32, table=True) == "Q6_K"


def test_rows_of_576_get_older_types() -> None:
    assert types("Q4_K_M", 576)["attn_v"] == {"Q5_0": 16, "Q8_0": 16}
    assert types("Q5_K_M", 576)["attn_q"] == {"Q5_1": 32}
    assert mixed("output.weight", 576, "Q4_K_M", 30, table=True) == "Q8_0"


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    kquants.ggml.cache_clear()
    folder = ModelFolder.read(write_model(tmp_path / "model"))
    with pytest.raises(Missing, match=r"pip install 'kollama2\[kquants\]'"):
        write_gguf(folder, tmp_path / "x.gguf", "Q4_K_M", {})
    assert not (tmp_path / "x.gguf").exists()
    kquants.ggml.cache_clear()


@pytest.mark.parametrize(
    ("kind", "kinds"),
    [
        ("Q4_K_M", {"Q4_K": 13, "Q6_K": 3}),
        ("Q5_K_M", {"Q5_K": 13, "Q6_K": 3}),
        ("Q6_K", {"Q6_K": 16}),
    ],
)
def test_a_file_is_its_model(kind: str, kinds: dict[str, int], tmp_path: Path) -> None:
    pytest.importorskip("libggml")
    folder = ModelFolder.read(write_model(tmp_path / "model", hidden=256))
    write_gguf(folder, tmp_path / "x.gguf", kind, {"name": "tiny"})
    found = prove(tmp_path / "x.gguf", folder, kind)
    assert (found.tensors, found.exact) == (21, False)
    assert Gguf(tmp_path / "x.gguf").kinds() == kinds
