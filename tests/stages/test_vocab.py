"""The stages that grow a vocabulary, from a corpus to a model that reads its new pieces."""

import json
from pathlib import Path

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from kollama2.engine.profile import Resources
from kollama2.engine.stage import Stage, Work
from kollama2.model.card import read_card
from kollama2.model.folder import ModelFolder
from kollama2.model.load import load_model
from kollama2.model.tokenizer import load_tokenizer
from kollama2.stages import ExpandTokenizer, ExpandVocab, PruneTokenizer, PruneVocab, Source
from kollama2.vocab.settings import InitSettings, PruneSettings, VocabSettings
from tests.tiny import KOREAN
from tests.vocab.test_prune import CHAT, OTHERS, many_scripts


class Bench:
    """Runs stages one after another in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, stage: Stage) -> Path:
        return self.folder / stage.name

    def run(self, stage: Stage) -> dict[str, object]:
        for inner in stage.inputs():
            if not self.path(inner).exists():
                self.run(inner)
        self.path(stage).mkdir(parents=True)
        scratch = self.folder / f"scratch-{stage.name}"
        scratch.mkdir()
        work = Work(self.path(stage), scratch, Resources(), self.path, lambda _: None)
        return dict(stage.run(work))


@pytest.fixture
def expanded(tiny_model: Path, tmp_path: Path) -> tuple[Bench, ExpandVocab]:
    text = tmp_path / "ko.txt"
    text.write_text("\n".join(KOREAN * 5), encoding="utf-8")
    model = Source(what="model", uri="file:tiny").at(tiny_model)
    corpus = Source(what="data", uri="file:ko.txt").at(text)
    tokenizer = ExpandTokenizer(
        tokenizer=model, corpus=(corpus,), settings=VocabSettings(size=40, syllables=False)
    )
    stage = ExpandVocab(model=model, tokenizer=tokenizer, settings=InitSettings())
    return Bench(tmp_path / "store"), stage


def test_a_model_grows_with_its_tokenizer(
    expanded: tuple[Bench, ExpandVocab], tiny_model: Path
) -> None:
    bench, stage = expanded
    metrics = bench.run(stage)
    assert metrics["new"] == 40
    folder = bench.path(stage) / "model"
    before, after = load_tokenizer(tiny_model), load_tokenizer(folder)
    korean = KOREAN[0]
    assert len(after.encode(korean)) < len(before.encode(korean)) / 2
    assert after.decode(after.encode(korean)) == korean
    assert after.encode("The fox lives.") == before.encode("The fox lives.")

    small, large = load_model(tiny_model), load_model(folder)
    # 384 old rows and 40 new ones, filled up to a multiple of 64.
    assert large.get_input_embeddings().weight.shape == (448, 64)
    assert large.config.vocab_size == after.vocab_size == 448
    ids = torch.tensor([before.encode("The fox lives in the old town.")])
    assert torch.equal(large(ids).logits[..., :384], small(ids).logits)
    about = read_card(folder).vocabulary
    assert (about.first, about.new, about.reserve) == (384, 40, 24)
    assert about.init["init"] == "weighted_mean"


@pytest.fixture
def pruned(tmp_path: Path) -> tuple[Bench, PruneVocab]:
    """A model of many scripts with padding rows, to be pruned."""
    folder = many_scripts(tmp_path / "many", "both files")
    config = LlamaConfig(
        vocab_size=720, hidden_size=64, intermediate_size=128, num_hidden_layers=2,
        num_attention_heads=4, bos_token_id=1, eos_token_id=700, pad_token_id=None,
    )  # fmt: skip
    torch.manual_seed(0)
    LlamaForCausalLM(config).save_pretrained(folder)
    model = Source(what="model", uri="file:many").at(folder)
    tokenizer = PruneTokenizer(tokenizer=model, settings=PruneSettings(keep=("ko", "en")))
    return Bench(tmp_path / "store"), PruneVocab(model=model, tokenizer=tokenizer)


def test_a_pruned_model_computes_what_it_did(
    pruned: tuple[Bench, PruneVocab], tmp_path: Path
) -> None:
    bench, stage = pruned
    assert Stage.model_validate(stage.model_dump(mode="json")) == stage
    metrics = bench.run(stage)
    folder, old = bench.path(stage) / "model", tmp_path / "many"
    said = json.loads((bench.path(stage.tokenizer) / "model/pruning.json").read_text())
    kept, removed = said["kept"], said["removed"]
    assert metrics == {"rows": len(kept), "removed": 720 - len(kept)}
    assert len(kept) == 702 - removed

    before, after = (ModelFolder.read(one) for one in (old, folder))
    large, small = load_model(old, dtype="float32"), load_model(folder, dtype="float32")
    assert small.config.vocab_size == len(kept)
    chats = [one.encoder().encode(CHAT).ids for one in (before, after)]
    with torch.no_grad():
        was, now = (
            model(torch.tensor([ids])).logits
            for model, ids in zip((large, small), chats, strict=True)
        )
    torch.testing.assert_close(now, was[..., kept], rtol=0, atol=1e-6)
    assert after.stop_ids == (small.config.eos_token_id,) == (kept.index(700),)
    assert after.tokenizer.decode(after.tokenizer.encode(OTHERS[1])) == OTHERS[1]
    card = read_card(folder).vocabulary
    assert card is not None
    assert (card.procedure, card.size, card.new, card.keep) == (
        "prune", len(kept), 0, ("ko", "en"),
    )  # fmt: skip


def test_pruned_then_expanded(pruned: tuple[Bench, PruneVocab], tmp_path: Path) -> None:
    bench, smaller = pruned
    text = tmp_path / "ko.txt"
    text.write_text("각각의 들판에서 각각의\n" * 9, encoding="utf-8")
    corpus = Source(what="data", uri="file:ko.txt").at(text)
    tokenizer = ExpandTokenizer(
        tokenizer=smaller.tokenizer_stage,
        corpus=(corpus,),
        settings=VocabSettings(size=20, syllables=False),
    )
    stage = ExpandVocab(
        model=smaller,
        tokenizer=tokenizer,
        settings=InitSettings(init="distill", batch=2),
        corpus=(corpus,),
    )
    assert bench.run(stage)["error_end"] is not None
    card = read_card(bench.path(stage) / "model").vocabulary
    size = read_card(bench.path(smaller) / "model").vocabulary.size
    assert (card.procedure, card.first, card.keep) == ("hangul-append", size, ("ko", "en"))
    rows = [
        load_model(bench.path(one) / "model").get_input_embeddings().weight[:size]
        for one in (smaller, stage)
    ]
    assert torch.equal(*rows)


def test_expanded_then_pruned(expanded: tuple[Bench, ExpandVocab]) -> None:
    bench, larger = expanded
    tokenizer = PruneTokenizer(
        tokenizer=larger.tokenizer_stage, settings=PruneSettings(keep=("ko", "en"))
    )
    stage = PruneVocab(model=larger, tokenizer=tokenizer)
    bench.run(stage)
    card = read_card(bench.path(stage) / "model").vocabulary
    # Nothing leaves an English tokenizer: the new rows are where they were, and still untrained.
    assert (card.procedure, card.first, card.new, card.size) == ("hangul-append", 384, 40, 448)
    assert (card.trained, card.base) == (False, None)
