"""The tiny tokenizer in llama2.c's format, shared by the tests of this folder."""

from pathlib import Path

import pytest

from tests.llama.files import tokenizer_bytes


@pytest.fixture(scope="session")
def tokenizer_bin(tiny_tokenizer: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("llama2c") / "tokenizer.bin"
    path.write_bytes(tokenizer_bytes(tiny_tokenizer / "tokenizer.model"))
    return path
