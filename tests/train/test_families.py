"""Every family: documents side by side are each as if alone; trained, merged and written right."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch.nn import functional

from kollama2.engine.profile import Resources
from kollama2.model.load import load_model
from kollama2.model.write import merge, write_model
from kollama2.train.attention import NAME, by_document, side_by_side
from kollama2.train.batches import Document, Rows
from kollama2.train.forward import logits, summed_loss, tensors
from kollama2.train.loop import train
from kollama2.train.prepare import prepare
from kollama2.train.settings import TrainSettings
from tests.family_models import FAMILIES
from tests.train.conftest import silent, write_rows

LENGTHS = (40, 40, 23, 9, 9, 3)
MIXING = {"qwen3_5_text", "qwen3_5", "qwen3_next", "lfm2", "falcon_h1"}
WRAPPERS = {"mistral3", "gemma3", "qwen3_5"}
every = pytest.mark.parametrize("family", sorted(FAMILIES))


def texts() -> list[list[int]]:
    luck = torch.Generator().manual_seed(5)
    return [torch.randint(20, 380, (n,), generator=luck).tolist() for n in LENGTHS]


@pytest.fixture
def table(tmp_path: Path) -> Rows:
    return Rows(write_rows(tmp_path / "few", texts()))


@pytest.fixture(scope="module", autouse=True)
def _folders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    FOLDERS.clear()
    FOLDERS["root"] = tmp_path_factory.mktemp("families")
    yield


FOLDERS: dict[str, Path] = {}


def folder_of(family: str) -> Path:
    """The folder of a family as transformers writes it."""
    if family not in FOLDERS:
        FOLDERS[family] = FOLDERS["root"] / "store" / family
        FAMILIES[family]().save_pretrained(FOLDERS[family])
    return FOLDERS[family]


def alone(model: Any, ids: list[int]) -> torch.Tensor:
    """Logits of one document by transformers' own attention that needs no kernel."""
    model.set_attn_implementation("eager")
    found: torch.Tensor = model(input_ids=torch.tensor([ids]), use_cache=False).logits[0]
    return found


@every
def test_documents_side_by_side_are_each_alone(family: str, table: Rows) -> None:
    model = FAMILIES[family]()
    assert side_by_side(model) == (family not in MIXING)
    documents = [Document(at, 0, length) for at, length in enumerate(LENGTHS)]
    micro = tensors(table, documents)
    with by_document(model):
        attention = model.config.get_text_config()._attn_implementation
        assert (attention == NAME) == (family not in MIXING)
        together = logits(model, micro)
        summed_loss(model, micro).backward()
    packed = {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}
    model.zero_grad()
    single = [alone(model, ids) for ids in texts()]
    torch.testing.assert_close(together, torch.cat([one[:-1] for one in single]), atol=1e-5, rtol=0)
    for ids, one in zip(texts(), single, strict=True):
        functional.cross_entropy(one[:-1], torch.tensor(ids[1:]), reduction="sum").backward()
    learned = {n: p.grad for n, p in model.named_parameters() if p.grad is not None}
    assert packed.keys() == learned.keys()
    for name, gradient in learned.items():
        torch.testing.assert_close(packed[name], gradient, atol=1e-5, rtol=1e-4, msg=name)


def trained_on(family: str, out: Path, table: Rows, **settings: Any) -> Path:
    train(
        TrainSettings(**{"steps": 1, "batch": 6, "lr": 1e-3, **settings}),
        model=folder_of(family),
        rows=table.path.parent,
        out=out,
        scratch=out / "scratch",
        resources=Resources(device="cpu", threads=1),
        progress=silent,
    )
    return out / "model"


@every
def test_a_full_training_is_saved_as_the_base_came(
    family: str, table: Rows, tmp_path: Path
) -> None:
    base = folder_of(family)
    made = trained_on(family, tmp_path / "out", table, method="full")
    before, after = (load_file(path / "model.safetensors") for path in (base, made))
    assert before.keys() == after.keys()
    assert (made / "config.json").read_bytes() == (base / "config.json").read_bytes()
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    around = {name for name in before if any(p in name for p in ("vis", "multi_modal"))}
    assert bool(around) == (family in WRAPPERS)
    assert not moved & around
    assert len(moved) > 0.8 * len(before.keys() - around)
    network = load_model(made, device="cpu")
    assert type(network) is type(FAMILIES[family]())


@every
@pytest.mark.parametrize("method", ["lora", "qlora"])
def test_an_adapter_comes_back_and_merges(family: str, method: str, tmp_path: Path) -> None:
    base = folder_of(family)
    out = FOLDERS["root"] / "store" / f"{family}-{method}"
    model = prepare(base, TrainSettings(steps=1, method=method, train_embeddings=True), "cpu")
    torch.manual_seed(7)
    for name, weight in model.named_parameters():
        if weight.requires_grad:
            assert "vis" not in name and "multi_modal" not in name
            weight.data += 0.02 * torch.randn_like(weight)
    write_model(model, out, base=base, method=method, template="plain", recipe={})
    ids = torch.tensor([texts()[0]])
    with torch.inference_mode():
        known = model.eval()(input_ids=ids).logits
        found = load_model(out, device="cpu")(input_ids=ids).logits
        torch.testing.assert_close(found, known, atol=1e-5, rtol=0)
        merge(out, tmp_path / "merged")
        whole = load_model(tmp_path / "merged", device="cpu")(input_ids=ids).logits
        start = load_model(base, device="cpu")(input_ids=ids).logits
    names = {
        path: load_file(path / "model.safetensors").keys() for path in (base, tmp_path / "merged")
    }
    assert names[base] == names[tmp_path / "merged"]
    assert (known - start).abs().max() > 0.01
    if method == "lora":
        torch.testing.assert_close(whole, known, atol=1e-4, rtol=0)
