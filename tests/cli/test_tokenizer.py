"""The commands that change a tokenizer."""

import json
from pathlib import Path

import pytest

from kollama2.cli.tokenizer import expand, prune
from kollama2.errors import BadUsage
from kollama2.model.tokenizer import load_tokenizer
from tests import tiny
from tests.vocab.test_prune import OTHERS, many_scripts


def test_prune_then_expand(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old = many_scripts(tmp_path / "old", "tokenizer.model")
    smaller, larger, corpus = (tmp_path / name for name in ("smaller", "larger", "ko.txt"))
    prune(old, ["ko", "en"], smaller)
    said = " ".join(capsys.readouterr().out.split())  # a long path wraps
    about = json.loads((smaller / "pruning.json").read_text(encoding="utf-8"))
    assert f"{about['size']} tokens, {about['removed']} removed" in said
    assert "have the same tokens as before" in said

    corpus.write_text("각각의 들판에서 각각의\n" * 9, encoding="utf-8")
    expand(smaller, [corpus], larger, size=20, syllables=False)
    assert f"behind {about['size']} and 45 reserved, 640 in all" in " ".join(
        capsys.readouterr().out.split()
    )
    text = f"각각의 {tiny.KOREAN[0]} {OTHERS[0]}"
    found = [load_tokenizer(one) for one in (old, smaller, larger)]
    assert all(one.decode(one.encode(text)) == text for one in found)
    before, pruned, grown = (len(one.encode(text)) for one in found)
    assert pruned > before
    assert grown < pruned


def test_an_option_that_cannot_be(tmp_path: Path) -> None:
    old = tiny.write_tokenizer(tmp_path / "old")
    with pytest.raises(BadUsage, match=r"--keep: Input should be .*'ko'.*got 'korean'"):
        prune(old, ["en", "korean"], tmp_path / "new")
    with pytest.raises(BadUsage, match="--procedure: "):
        expand(old, [], tmp_path / "new", procedure="nearest")
    assert not (tmp_path / "new").exists()
