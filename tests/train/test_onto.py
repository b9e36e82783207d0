"""An adapter trained after its vocabulary grew, on the base from before."""

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM

from kollama2.engine.profile import Resources
from kollama2.errors import BadData
from kollama2.model.adapter import before_growth
from kollama2.model.card import Card, Vocabulary, read_card, write_card
from kollama2.model.grow import grow, tables, weights_hash
from kollama2.model.load import load_model, whole
from kollama2.model.write import merge, write_grown
from kollama2.train.loop import train
from kollama2.train.prepare import prepare
from kollama2.train.settings import TrainSettings
from tests import tiny
from tests.jsons import change
from tests.train.conftest import silent, some_ids, write_rows

IDS = torch.tensor([[1, 5, 9, 384, 400, 20, 390]])


def grown_base(folder: Path, *, tied: bool) -> tuple[Path, Path]:
    """A pristine model of 384 rows and the same with 20 new ones, filled up to 448."""
    pristine, larger = folder / "pristine", folder / "store" / "grown"
    tiny.write_model(pristine)
    if tied:
        change(pristine / "config.json", tie_word_embeddings=True)
        AutoModelForCausalLM.from_pretrained(pristine).save_pretrained(pristine)
    model = whole(pristine, "float32")
    torch.manual_seed(3)
    rows = 0.02 * torch.randn(20, 64)
    grow(model, 384, list(range(384, 404)), rows, None if tied else rows.flip(0), 448)
    about = Vocabulary(
        procedure="hangul-append", first=384, new=20, size=448, base=weights_hash(pristine)
    )
    write_grown(model, larger, source=pristine, tokenizer=pristine, vocabulary=about)
    return pristine, larger


def tuned(base: Path, folder: Path, **settings: Any) -> Path:
    data = write_rows(folder / "rows", some_ids(24, vocab=403))
    train(
        TrainSettings(**{"steps": 2, "batch": 8, "lr": 1e-2, "method": "lora", **settings}),
        model=base,
        rows=data,
        out=folder / "store" / "tuned",
        scratch=folder / "scratch",
        resources=Resources(device="cpu", threads=1),
        progress=silent,
    )
    return folder / "store" / "tuned" / "model"


def logits(model: Any) -> torch.Tensor:
    with torch.inference_mode():
        found: torch.Tensor = model(IDS).logits
    return found


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize(
    "settings", [{}, {"train_embeddings": False}, {"dora": True}, {"method": "qlora"}]
)
def test_it_loads_on_the_pristine_base(
    tied: bool, settings: dict[str, Any], tmp_path: Path
) -> None:
    pristine, larger = grown_base(tmp_path, tied=tied)
    adapter = tuned(larger, tmp_path, **settings)
    known = logits(load_model(adapter, device="cpu"))
    assert torch.equal(logits(load_model(adapter, device="cpu", onto=pristine)), known)
    assert (known - logits(load_model(larger, device="cpu"))).abs().max() > 0.01
    if settings.get("method") == "qlora":
        return  # its merge onto unquantised weights differs by the quantisation error
    merge(adapter, tmp_path / "merged", pristine)
    merged = logits(load_model(tmp_path / "merged", device="cpu"))
    a, b = known.log_softmax(-1), merged.log_softmax(-1)
    assert (a.exp() * (a - b)).sum(-1).max() <= 1e-6


def test_new_rows_learn_unless_told_otherwise(tmp_path: Path) -> None:
    _, larger = grown_base(tmp_path, tied=False)
    adapter = tuned(larger, tmp_path)
    before, _ = tables(whole(larger))
    after, _ = tables(whole(adapter))
    assert not torch.equal(before[384:404], after[384:404])
    assert read_card(adapter).vocabulary.trained is True
    # Once they have learned, an adapter on top is an ordinary one.
    plain = prepare(adapter, TrainSettings(steps=1), "cpu")
    assert not [name for name, _ in plain.named_parameters() if "modules_to_save" in name]
    kept = tuned(larger, tmp_path / "kept", train_embeddings=False)
    same, _ = tables(whole(kept))
    assert torch.equal(before, same)
    assert read_card(kept).vocabulary.trained is False


def test_a_pruned_base_is_one_from_before(tmp_path: Path) -> None:
    pristine, larger = grown_base(tmp_path, tied=False)
    adapter = tuned(larger, tmp_path)
    smaller = Vocabulary(procedure="prune", first=384, new=0, size=384, keep=("en",))
    write_card(pristine, Card(vocabulary=smaller))
    assert before_growth(adapter, pristine)
    assert not before_growth(adapter, larger)


def test_another_base_is_refused(tmp_path: Path) -> None:
    _, larger = grown_base(tmp_path, tied=False)
    adapter = tuned(larger, tmp_path)
    other = tiny.write_model(tmp_path / "other", seed=1)
    with pytest.raises(BadData, match="name the base that its vocabulary was added to"):
        load_model(adapter, device="cpu", onto=other)


def test_the_hash_is_of_the_weights_not_of_their_files(tmp_path: Path) -> None:
    one = tiny.write_model(tmp_path / "one")
    known = weights_hash(one)
    AutoModelForCausalLM.from_pretrained(one).save_pretrained(
        tmp_path / "two", max_shard_size="100KB"
    )
    assert len(list((tmp_path / "two").glob("*.safetensors"))) > 1
    assert weights_hash(tmp_path / "two") == known
    assert weights_hash(tiny.write_model(tmp_path / "three", seed=1)) != known
