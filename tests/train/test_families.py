"""Every family: documents side by side are each as if alone; trained, merged and written right."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch.nn import functional

from kollama2.engine.profile import Resources
from kollama2.errors import BadUsage
from kollama2.model.load import load_model
from kollama2.model.write import merge, write_model
from kollama2.train.attention import NAME, by_document, side_by_side
from kollama2.train.batches import Document, Rows
from kollama2.train.blocks import expand_blocks
from kollama2.train.forward import held_out_loss, logits, summed_loss, tensors
from kollama2.train.loop import train
from kollama2.train.merging.merge import gap, merge_models
from kollama2.train.merging.settings import MergeSettings
from kollama2.train.prefer import PairIds, prefer
from kollama2.train.preference_settings import PreferSettings
from kollama2.train.prepare import prepare, trained
from kollama2.train.record import parameters, sizes
from kollama2.train.settings import TrainSettings
from kollama2.train.shield import shield
from tests.family_models import FAMILIES, every
from tests.train.conftest import silent, write_rows

LENGTHS = (40, 40, 23, 9, 9, 3)
MIXING = {"qwen3_5_text", "qwen3_5", "qwen3_next", "lfm2", "falcon_h1"}
WRAPPERS = {"mistral3", "gemma3", "qwen3_5"}


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
        near = 1e-5 * max(1.0, gradient.abs().max().item())
        torch.testing.assert_close(packed[name], gradient, atol=near, rtol=1e-4, msg=name)


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


@pytest.mark.parametrize("family", ["gpt_neox", "mistral3", "gemma3", "qwen3_next", "gpt_oss"])
@pytest.mark.parametrize("method", ["chat-vector", "elchat"])
def test_models_merge_but_for_what_is_around(
    family: str, method: str, tmp_path: Path, tiny_tokenizer: Path
) -> None:
    base, chat = tmp_path / "base", tmp_path / "chat"
    for folder in (base, chat):
        shutil.copytree(folder_of(family), folder)
        shutil.copytree(tiny_tokenizer, folder, dirs_exist_ok=True)
    start = load_file(base / "model.safetensors")
    other = {name: tensor + 0.01 for name, tensor in start.items()}
    save_file(other, chat / "model.safetensors", metadata={"format": "pt"})
    settings = MergeSettings(method=method)
    merge_models(settings, tmp_path / "out", ours=base, others=[chat], base=base)
    found = load_file(tmp_path / "out" / "model.safetensors")
    assert found.keys() == start.keys()
    around = {name for name in start if any(part in name for part in ("vis", "multi_modal"))}
    for name, tensor in found.items():
        if name in around:
            assert torch.equal(tensor, start[name])
        elif method == "chat-vector":
            assert torch.equal(tensor, other[name])
    assert any(not torch.equal(found[name], start[name]) for name in found)
    assert load_model(tmp_path / "out", device="cpu")
    assert 0 < gap(base, chat) < 0.2


@pytest.mark.parametrize("family", ["gemma2", "mistral3", "smollm3", "olmo3", "phi3"])
def test_a_deeper_model_computes_the_same(
    family: str, tmp_path: Path, tiny_tokenizer: Path
) -> None:
    base = tmp_path / "base"
    shutil.copytree(folder_of(family), base)
    shutil.copytree(tiny_tokenizer, base, dirs_exist_ok=True)
    assert expand_blocks(base, tmp_path / "out", 1) == {"blocks": 4, "new_blocks": [1, 3]}
    ids = torch.tensor([texts()[0]])
    with torch.inference_mode():
        old, new = (
            load_model(one, device="cpu")(input_ids=ids).logits for one in (base, tmp_path / "out")
        )
    torch.testing.assert_close(new, old, atol=1e-6, rtol=0)


@pytest.mark.parametrize("family", ["gpt_neox", "lfm2", "qwen3_5_text", "falcon_h1", "gpt_oss"])
def test_other_blocks_are_not_copied(family: str, tmp_path: Path, tiny_tokenizer: Path) -> None:
    base = tmp_path / "base"
    shutil.copytree(folder_of(family), base)
    shutil.copytree(tiny_tokenizer, base, dirs_exist_ok=True)
    with pytest.raises(BadUsage, match="has no o_proj and down_proj in its blocks"):
        expand_blocks(base, tmp_path / "out", 1)


@pytest.mark.parametrize("family", ["lfm2", "gemma3"])
def test_a_shield_sees_no_padding_and_no_vision(family: str, table: Rows) -> None:
    scores = []
    for tokens in (1, 10_000):
        model = FAMILIES[family]()
        shield(model, table, 0.5, micro_batch_tokens=tokens)
        found = {name for name, weight in model.named_parameters() if hasattr(weight, "shielded")}
        assert found
        assert not any("vis" in name or "head" in name for name in found)
        model(input_ids=torch.tensor([texts()[0]])).logits.square().sum().backward()
        weights = [weight for _, weight in model.named_parameters() if hasattr(weight, "shielded")]
        scores.append([(weight.grad == 0).all(0) for weight in weights])
    assert all(torch.equal(one, many) for one, many in zip(*scores, strict=True))


@pytest.mark.parametrize(
    "family",
    [
        "qwen3_next",
        *(pytest.param(one, marks=pytest.mark.slow)
          for one in ("falcon_h1", "gemma2", "gpt_oss", "mistral3")),
    ],
)  # fmt: skip
@pytest.mark.parametrize("method", ["full", "lora"])
def test_preferences_do_not_depend_on_what_shares_a_batch(
    family: str, method: str, tmp_path: Path
) -> None:
    pairs = [
        PairIds(prompt_ids=row[:4], chosen_ids=row[4 : 7 + 3 * at], rejected_ids=row[5:8])
        for at, row in enumerate([texts()[0]] * 4)
    ]
    margins = []
    for tokens in (1, 100_000):
        out = tmp_path / str(tokens)
        prefer(
            PreferSettings(method=method, lr=1e-4, steps=2, batch=4, warmup=0),
            pairs, model=folder_of(family), out=out, scratch=out / "scratch", template="plain",
            resources=Resources(device="cpu", micro_batch_tokens=tokens), progress=silent,
        )  # fmt: skip
        lines = (out / "metrics.jsonl").read_text().splitlines()
        margins.append([json.loads(line)["margin"] for line in lines])
    assert margins[0][1] > 0
    assert margins[0] == pytest.approx(margins[1], abs=1e-5)


def test_held_out_loss_and_figures_of_hybrids(table: Rows) -> None:
    model = FAMILIES["qwen3_next"]()
    with torch.no_grad():
        single = [model(input_ids=torch.tensor([ids])).logits[0] for ids in texts()]
    losses = [
        functional.cross_entropy(one[:-1], torch.tensor(ids[1:]), reduction="sum")
        for ids, one in zip(texts(), single, strict=True)
    ]
    mean = float(sum(losses)) / sum(n - 1 for n in LENGTHS)
    assert held_out_loss(model, table) == pytest.approx(mean, abs=1e-5)


@pytest.mark.parametrize("method", ["full", "lora", "qlora"])
def test_a_token_costs_the_experts_it_passes(method: str) -> None:
    model = prepare(folder_of("gpt_oss"), TrainSettings(steps=1, method=method), "cpu")
    attention = 2 * 2 * (64 * 64 + 64 * 32)  # queries and output, keys and values
    experts = 2 * 2 * (64 * 128 + 64 * 64)  # two of four
    rank = 0 if method == "full" else 16
    adapter = 2 * 2 * rank * ((64 + 64) + (64 + 32))
    assert sizes(model) == (attention + experts, adapter, 384 * 64)
    whole = sum(weight.numel() for weight in FAMILIES["gpt_oss"]().parameters())
    assert parameters(model) == whole + adapter


def test_targets_are_those_of_the_language_model() -> None:
    model = prepare(folder_of("mistral3"), TrainSettings(steps=1, targets=("q_proj",)), "cpu")
    found = {name for name, _ in trained(model)}
    assert len(found) == 4
    assert all("language_model" in name and ".q_proj." in name for name in found)
