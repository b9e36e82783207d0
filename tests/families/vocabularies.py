"""Columns of vocabularies: with more pieces, and with fewer."""

import json
from pathlib import Path

from kollama2.cli.tokenizer import expand as expand_command
from kollama2.cli.tokenizer import prune as prune_command
from kollama2.model.folder import ModelFolder
from kollama2.vocab.growth import grow_model, prune_model
from kollama2.vocab.prune import PRUNING
from kollama2.vocab.settings import InitSettings
from tests.families.family import (
    ENGLISH,
    KOREAN,
    Family,
    encoder,
    far,
    handed_over,
    logits,
    plain_model,
    plain_tokenizer,
    quiet,
)
from tests.family_tokenizers import FOREIGN


def expand(family: Family) -> None:
    """New pieces keep every old id, control tokens too, and the model its logits on old text."""
    corpus, out = family.place / "corpus.txt", family.place / "expanded"
    corpus.write_text("\n".join(KOREAN), encoding="utf-8")
    with quiet():
        expand_command(
            family.base, [corpus], out / "tokenizer", 32, "hangul-append", False, 0, False, True
        )
        grow_model(
            family.base,
            out / "tokenizer",
            out / "model",
            InitSettings(),
            None,
            device="cpu",
            progress=lambda *_, **__: None,
        )
    _read_alike(out / "model", KOREAN)
    before, after = (ModelFolder.read(one).tokenizer for one in (family.base, out / "model"))
    assert before.special.items() <= after.special.items()
    spent = [sum(map(len, one.encode_batch(KOREAN))) for one in (before, after)]
    assert spent[1] < spent[0]
    ids = encoder(out / "model").text(ENGLISH[0]).ids
    assert ids == encoder(family.base).text(ENGLISH[0]).ids
    old = logits(plain_model(family.base), ids)[:, : before.vocab_size]
    new = logits(plain_model(out / "model"), ids)[:, : before.vocab_size]
    assert far(old, new) < 1e-5


def prune(family: Family) -> None:
    """Tokens of other scripts leave; Korean and English keep their pieces and their logits."""
    out = family.place / "pruned"
    with quiet():
        prune_command(family.base, ["ko", "en"], out / "tokenizer")
        prune_model(family.base, out / "tokenizer", out / "model")
    ids = json.loads((out / "tokenizer" / PRUNING).read_text(encoding="utf-8"))["kept"]
    before, after = (ModelFolder.read(one).tokenizer for one in (family.base, out / "model"))
    assert len(ids) < before.vocab_size
    assert before.special.keys() == after.special.keys()
    assert {ids[new]: name for name, new in after.special.items()} == {
        old: name for name, old in before.special.items()
    }
    _read_alike(out / "model", [*KOREAN, *ENGLISH, *FOREIGN])
    found = encoder(out / "model").text(KOREAN[0]).ids
    asked = [ids[i] for i in found]
    assert asked == encoder(family.base).text(KOREAN[0]).ids
    old, new = logits(plain_model(family.base), asked), logits(plain_model(out / "model"), found)
    assert far(old[:, ids], new) < 1e-5


def _read_alike(folder: Path, texts: list[str]) -> None:
    """No text is lost, and transformers gives the ids of training."""
    tokenizer = ModelFolder.read(folder).tokenizer
    ids = tokenizer.encode_batch(texts)
    assert [tokenizer.decode(one) for one in ids] == texts
    plain = plain_tokenizer(folder)
    assert ids == [plain(text, add_special_tokens=False).input_ids for text in texts]
    handed_over(folder)
