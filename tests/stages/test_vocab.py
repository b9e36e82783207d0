"""The stages that grow a vocabulary, from a corpus to a model that reads its new pieces."""

from pathlib import Path

import pytest
import torch

from kollama2.engine.profile import Resources
from kollama2.engine.stage import Stage, Work
from kollama2.model.card import read_card
from kollama2.model.load import load_model
from kollama2.model.tokenizer import load_tokenizer
from kollama2.stages import ExpandTokenizer, ExpandVocab, Source
from kollama2.vocab.settings import InitSettings, VocabSettings
from tests.tiny import KOREAN


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
