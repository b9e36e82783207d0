"""Merges of model folders: exact at both ends, aligned by token, refused where they cannot be."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from kollama2.errors import BadUsage
from kollama2.model.card import read_card
from kollama2.model.load import load_model
from kollama2.model.pieces import read_pieces, write_fast, write_pieces
from kollama2.train.merging import methods
from kollama2.train.merging.merge import gap, merge_models
from kollama2.train.merging.settings import MergeSettings
from tests import tiny

EMBED, HEAD = "model.embed_tokens.weight", "lm_head.weight"
Tensors = dict[str, torch.Tensor]


def changed(folder: Path, source: Path, seed: int, scale: float = 0.02) -> Path:
    """A copy of a model with noise on every weight, as another training would leave it."""
    shutil.copytree(source, folder)
    luck = torch.Generator().manual_seed(seed)
    weights = {
        name: w + scale * torch.randn(w.shape, generator=luck) for name, w in read(source).items()
    }
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def read(folder: Path) -> Tensors:
    return dict(load_file(folder / "model.safetensors"))


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("models")
    made = {"base": tiny_model}
    for seed, name in enumerate(("ko", "chat", "third"), 1):
        made[name] = changed(folder / name, tiny_model, seed)
    made["grown"] = grown(folder / "grown", made["ko"])
    return made


def grown(folder: Path, source: Path) -> Path:
    """A copy with three more tokens: two new Korean ones in the middle and one at the end."""
    shutil.copytree(source, folder)
    proto = read_pieces(source)
    pieces = [type(one).FromString(one.SerializeToString()) for one in proto.pieces]
    new = [type(pieces[0])(piece=name, score=-1e6) for name in ("가나", "다라", "마바")]
    pieces[300:300] = new[:2]  # rows are found by token
    del proto.pieces[:]
    proto.pieces.extend([*pieces, new[2]])
    write_pieces(proto, folder)
    write_fast(folder, bos=1)
    (folder / "tokenizer.model").unlink()
    weights = read(source)
    for name in (EMBED, HEAD):
        rows = torch.full((3, 64), 9.0)
        weights[name] = torch.cat([weights[name][:300], rows[:2], weights[name][300:], rows[2:]])
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    config["vocab_size"] += 3
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return folder


def merged(out: Path, models: dict[str, Path], method: str, **fields: object) -> Tensors:
    roles = {key: fields.pop(key) for key in ("ours", "others", "base") if key in fields}
    merge_models(
        MergeSettings(method=method, **fields),  # type: ignore[arg-type]
        out,
        ours=models[str(roles.get("ours", "ko"))],
        others=[models[name] for name in roles.get("others", ["chat"])],  # type: ignore[attr-defined]
        base=models[str(roles["base"])] if "base" in roles else None,
    )
    return read(out)


def equal(one: Tensors, other: Tensors) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[n], other[n]) for n in one)


def test_chat_vector_is_exact_at_both_ends(models: dict[str, Path], tmp_path: Path) -> None:
    none = merged(tmp_path / "a", models, "chat-vector", weight=0, base="base")
    assert equal(none, read(models["ko"]))
    all_of_it = merged(tmp_path / "b", models, "chat-vector", ours="base", base="base")
    assert equal(all_of_it, read(models["chat"]))
    half = merged(tmp_path / "c", models, "chat-vector", weight=0.5, base="base", special="own")
    for name, weight in half.items():
        ko, chat, base = (read(models[m])[name].double() for m in ("ko", "chat", "base"))
        assert torch.equal(weight, (ko + 0.5 * (chat - base)).float())


def test_shadow_ft_is_the_same_sum_on_the_chat_model(
    models: dict[str, Path], tmp_path: Path
) -> None:
    shadow = merged(tmp_path / "a", models, "shadow-ft", ours="chat", others=["ko"], base="base")
    vector = merged(tmp_path / "b", models, "chat-vector", base="base", special="own")
    for name in shadow:
        torch.testing.assert_close(shadow[name], vector[name], rtol=0, atol=1e-6)


def test_with_a_grown_vocabulary_old_rows_move_and_new_ones_stay(
    models: dict[str, Path], tmp_path: Path
) -> None:
    out = merged(tmp_path / "a", models, "chat-vector", ours="grown", base="base", special="own")
    plain = merged(tmp_path / "b", models, "chat-vector", ours="ko", base="base", special="own")
    new = torch.tensor([300, 301, out[EMBED].shape[0] - 1])
    old = torch.tensor([at for at in range(out[EMBED].shape[0]) if at not in new.tolist()])
    for name in (EMBED, HEAD):
        assert torch.equal(out[name][new], torch.full((3, 64), 9.0))
        assert torch.equal(out[name][old], plain[name])
    assert (tmp_path / "a/tokenizer.json").is_file()
    assert load_model(tmp_path / "a").config.vocab_size == 387


def test_control_tokens_come_from_the_chat_model(models: dict[str, Path], tmp_path: Path) -> None:
    out = merged(tmp_path / "a", models, "chat-vector", base="base")
    chat, ko, base = (read(models[m]) for m in ("chat", "ko", "base"))
    assert torch.equal(out[EMBED][:3], chat[EMBED][:3])  # <unk>, <s>, </s>
    expected = ko[EMBED][5].double() + chat[EMBED][5].double() - base[EMBED][5].double()
    assert torch.equal(out[EMBED][5], expected.float())


def test_elchat_moves_the_outer_layers_only(models: dict[str, Path], tmp_path: Path) -> None:
    out = merged(tmp_path / "a", models, "elchat", layers=(0,), rates=(0.3,))
    ko, chat = read(models["ko"]), read(models["chat"])
    inner = "model.layers.1.mlp.down_proj.weight"
    outer = "model.layers.0.mlp.down_proj.weight"
    assert torch.equal(out[inner], ko[inner])
    expected = methods.slerp(ko[outer].double(), chat[outer].double(), 0.3)
    assert torch.equal(out[outer], expected.float())
    assert torch.equal(out[EMBED][:3], chat[EMBED][:3])
    assert torch.equal(out[EMBED][3:], ko[EMBED][3:])


def test_soups_and_interpolation(models: dict[str, Path], tmp_path: Path) -> None:
    soup = merged(tmp_path / "a", models, "linear", others=["chat", "third"], weight=2 / 3)
    name = "model.norm.weight"
    mean = sum(read(models[m])[name].double() for m in ("ko", "chat", "third")) / 3
    torch.testing.assert_close(soup[name], mean.float(), rtol=0, atol=1e-7)
    assert equal(merged(tmp_path / "b", models, "linear", weight=0), read(models["ko"]))
    assert equal(merged(tmp_path / "c", models, "slerp", weight=1), read(models["chat"]))


def test_ties_by_hand() -> None:
    one = torch.tensor([4.0, -3.0, 0.1, 2.0])
    two = torch.tensor([2.0, 5.0, 0.2, 0.0])
    # Of each the two largest stay: [4, -3, 0, 0] and [2, 5, 0, 0]; the second sign elects +.
    assert methods.ties([one, two], 0.5).tolist() == [3.0, 5.0, 0.0, 0.0]
    assert methods.ties([one], 1.0).tolist() == one.tolist()


def test_dare_keeps_the_expectation_and_is_a_function_of_its_seed() -> None:
    ones = torch.ones(200_000)
    thin = methods.dare(ones, 0.25, 0, "x")
    assert set(thin.tolist()) == {0.0, 4.0}
    assert float(thin.mean()) == pytest.approx(1, abs=0.02)
    assert torch.equal(thin, methods.dare(ones, 0.25, 0, "x"))
    assert not torch.equal(thin, methods.dare(ones, 0.25, 1, "x"))
    assert not torch.equal(thin, methods.dare(ones, 0.25, 0, "y"))


def test_slerp_keeps_the_length_between_vectors_of_one_length() -> None:
    first, second = torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0])
    middle = methods.slerp(first, second, 0.5)
    torch.testing.assert_close(middle, torch.tensor([0.5**0.5] * 2))
    assert methods.slerp(first, first, 0.3).tolist() == [1.0, 0.0]
    assert methods.slerp(torch.zeros(2), second, 0.5).tolist() == [0.0, 0.5]


@pytest.mark.parametrize("method", ["ties", "dare"])
def test_sparse_merges_of_a_model_with_itself_go_back_to_it(
    models: dict[str, Path], tmp_path: Path, method: str
) -> None:
    out = merged(tmp_path / "a", models, method, others=["ko"], base="base", density=1)
    for name, weight in read(models["ko"]).items():
        torch.testing.assert_close(out[name], weight, rtol=0, atol=1e-6)


def test_the_gap(models: dict[str, Path], tmp_path: Path) -> None:
    assert gap(models["ko"], models["ko"]) == 0
    near = changed(tmp_path / "near", models["base"], 7, scale=0.002)
    assert 0 < gap(models["base"], near) < gap(models["base"], models["ko"]) < 1


def test_adapters_are_merged_first(
    models: dict[str, Path], tmp_path: Path, adapter_of: Path
) -> None:
    facts = merge_models(
        MergeSettings(method="linear", weight=0),
        tmp_path / "out",
        ours=adapter_of,
        others=[models["base"]],
    )
    assert facts["gap"] > 0
    ids = torch.arange(3, 23)[None]
    with torch.no_grad():
        first, second = (load_model(m)(ids).logits for m in (adapter_of, tmp_path / "out"))
    torch.testing.assert_close(first, second, rtol=0, atol=1e-5)


@pytest.fixture
def adapter_of(models: dict[str, Path], tmp_path: Path) -> Path:
    from kollama2.model.write import write_model
    from kollama2.train.prepare import prepare, trained
    from kollama2.train.settings import TrainSettings

    network = prepare(models["base"], TrainSettings(method="lora", rank=4, steps=1))
    with torch.no_grad():
        for _, weight in trained(network):
            weight.add_(0.05)
    write_model(
        network, tmp_path / "lora", base=models["base"], method="lora", template="kullm", recipe={}
    )
    return tmp_path / "lora"


def test_a_half_precision_model_and_an_adapter_can_be_merged(
    models: dict[str, Path], tmp_path: Path, adapter_of: Path
) -> None:
    """A base stored in 16 bits and an adapter in 32: the sum is made in the wider precision."""
    half = tmp_path / "half"
    shutil.copytree(models["base"], half)
    weights = {name: w.bfloat16() for name, w in read(half).items()}
    save_file(weights, half / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((half / "config.json").read_text(encoding="utf-8"))
    config["dtype"] = "bfloat16"
    (half / "config.json").write_text(json.dumps(config), encoding="utf-8")
    settings = MergeSettings(method="chat-vector", special="own")
    merge_models(settings, tmp_path / "out", ours=half, others=[adapter_of], base=half)
    out, chat = read(tmp_path / "out"), load_model(adapter_of).merge_and_unload().state_dict()
    for name, weight in out.items():
        assert weight.dtype == torch.bfloat16
        assert torch.equal(weight, chat[name].bfloat16())


def test_the_card_says_what_it_is(models: dict[str, Path], tmp_path: Path) -> None:
    merged(tmp_path / "a", models, "chat-vector", weight=0.5, base="base")
    about = read_card(tmp_path / "a")
    assert about.recipe["merge"]["weight"] == 0.5
    assert about.template == "plain"


def test_what_cannot_be_merged(models: dict[str, Path], tmp_path: Path) -> None:
    wide = tiny.write_model(tmp_path / "wide", hidden=128)
    with pytest.raises(
        BadUsage, match=r"has hidden_size 128 and .* has 64; only models of one arch"
    ):
        merge_models(
            MergeSettings(method="slerp", weight=0.5),
            tmp_path / "x",
            ours=models["ko"],
            others=[wide],
        )
    with pytest.raises(BadUsage, match="takes differences from a base"):
        merged(tmp_path / "x", models, "chat-vector")
    with pytest.raises(BadUsage, match="merges with one model; 2 are given"):
        merged(tmp_path / "x", models, "elchat", others=["chat", "third"])
    assert not (tmp_path / "x").exists()
    with pytest.raises(ValueError, match="a share is between 0 and 1"):
        MergeSettings(method="linear", weight=1.5)
