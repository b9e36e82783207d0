"""Model folders of any family: what is accepted, told, converted, and written as it came."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner

from kollama2.cli import app as command_line
from kollama2.errors import BadData, Notice
from kollama2.model.load import check, load_model, stored_dtype, whole
from kollama2.model.pickled import from_pickle, is_pickled
from kollama2.model.write import random_like, write_whole
from kollama2.train.prepare import prepare
from kollama2.train.settings import TrainSettings
from tests.family_models import FAMILIES, every
from tests.jsons import change

IDS = torch.tensor([[1, 17, 300, 44, 5, 6, 7, 200]])
WEIGHTS = "model.safetensors"


def folder_of(family: str, folder: Path, **text: Any) -> Path:
    FAMILIES[family](**text).save_pretrained(folder)
    return folder


def logits(folder: Path) -> torch.Tensor:
    with torch.inference_mode():
        found: torch.Tensor = load_model(folder, device="cpu")(input_ids=IDS).logits
    return found


def rewritten(folder: Path, out: Path) -> dict[str, torch.Tensor]:
    """The weights of a folder after they were loaded in float32 and written again."""
    out.mkdir()
    write_whole(whole(folder, "float32"), out, folder)
    return dict(load_file(out / WEIGHTS))


@pytest.mark.parametrize("family", ["gemma3", "mistral3", "qwen3_5", "qwen3_5_text", "gpt_oss"])
def test_the_class_of_the_configuration_is_loaded(family: str, tmp_path: Path) -> None:
    folder = folder_of(family, tmp_path / family)
    (named,) = json.loads((folder / "config.json").read_text())["architectures"]
    assert type(load_model(folder, device="cpu")).__name__ == named


def test_code_of_a_folder_is_ignored_where_transformers_has_the_class(tmp_path: Path) -> None:
    folder = folder_of("phi3", tmp_path / "phi3")
    before = logits(folder)
    change(folder / "config.json", auto_map={"AutoModelForCausalLM": "modeling_phi3.Phi3"})
    (folder / "modeling_phi3.py").write_text("raise SystemExit('this was executed')")
    assert torch.equal(logits(folder), before)
    change(folder / "config.json", model_type="exaone", architectures=["ExaoneForCausalLM"])
    with pytest.raises(BadData, match=r"code of its own .* for ExaoneForCausalLM, which transform"):
        check(folder)


@pytest.mark.parametrize(("rows", "told"), [(384, False), (383, True), (376, True)])
def test_a_token_without_a_row_is_told(
    rows: int, told: bool, tmp_path: Path, tiny_tokenizer: Path, recwarn: Any
) -> None:
    folder = folder_of("gemma3_text", tmp_path / "gemma", vocab_size=rows)
    shutil.copytree(tiny_tokenizer, folder, dirs_exist_ok=True)
    load_model(folder, device="cpu")
    found = [str(one.message) for one in recwarn.list if one.category is Notice]
    sentence = f"the tokenizer has 384 tokens and the embeddings {rows} rows"
    assert [sentence in one for one in found] == [True] * told


def test_many_tokens_without_a_row_are_refused(tmp_path: Path, tiny_tokenizer: Path) -> None:
    folder = folder_of("gemma3_text", tmp_path / "gemma", vocab_size=375)
    shutil.copytree(tiny_tokenizer, folder, dirs_exist_ok=True)
    with pytest.raises(BadData, match="384 tokens but the embeddings only 375 rows"):
        check(folder)


def test_the_command_line_tells_it_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import warnings

    def tell() -> int:
        warnings.simplefilter("default")
        warnings.warn("one token has no row", Notice, stacklevel=1)
        return 0

    monkeypatch.setattr(command_line, "_command", lambda: lambda *_, **__: tell())
    with warnings.catch_warnings(), pytest.raises(SystemExit):
        command_line.main()
    assert capsys.readouterr().err == "kollama2: one token has no row\n"


@every
def test_written_as_it_came(family: str, tmp_path: Path) -> None:
    """Also what transformers does not load, several dtypes, and names of older files."""
    folder = folder_of(family, tmp_path / family)
    tensors = load_file(folder / WEIGHTS)
    renamed = {}
    for at, (name, tensor) in enumerate(tensors.items()):
        old = name.replace("vision_tower.", "vision_tower.vision_model.")
        tensor = tensor.half() if at % 3 else tensor
        renamed[old if family == "gemma3" else name] = tensor
    renamed |= {"mtp.fc.weight": torch.ones(3, 2), "masked_bias": torch.tensor([True])}
    save_file(renamed, folder / WEIGHTS, metadata={"format": "pt"})
    (folder / "preprocessor_config.json").write_text('{"size": 28}')
    with pytest.warns(Notice, match=r"holds [12] tensors that are not read, such as masked_bias"):
        found = rewritten(folder, tmp_path / "out")
    assert found.keys() == renamed.keys()
    for name, tensor in renamed.items():
        assert found[name].dtype == tensor.dtype, name
        assert torch.equal(found[name], tensor), name
    for name in ("config.json", "preprocessor_config.json"):
        assert (tmp_path / "out" / name).read_bytes() == (folder / name).read_bytes()


def test_a_head_beside_tied_embeddings_is_written_once(tmp_path: Path) -> None:
    folder = folder_of("qwen2", tmp_path / "qwen2")
    tensors = load_file(folder / WEIGHTS)
    twice = {**tensors, "lm_head.weight": tensors["model.embed_tokens.weight"].clone()}
    save_file(twice, folder / WEIGHTS, metadata={"format": "pt"})
    assert rewritten(folder, tmp_path / "out").keys() == tensors.keys()


def test_a_random_twin_of_a_wrapper(tmp_path: Path) -> None:
    folder = folder_of("qwen3_5", tmp_path / "qwen3_5")
    random_like(folder, tmp_path / "twin", seed=1)
    before, after = (load_file(path / WEIGHTS) for path in (folder, tmp_path / "twin"))
    assert {n: t.shape for n, t in before.items()} == {n: t.shape for n, t in after.items()}
    name = "model.language_model.embed_tokens.weight"
    assert not torch.equal(before[name], after[name])


def test_a_model_stored_in_float16_is_trained_in_float32(tmp_path: Path) -> None:
    folder = tmp_path / "polyglot"
    FAMILIES["gpt_neox"]().half().save_pretrained(folder)
    assert stored_dtype(check(folder)) == torch.float16
    for method in ("full", "lora"):
        model = prepare(folder, TrainSettings(steps=1, method=method), "cpu")
        assert {weight.dtype for weight in model.parameters()} == {torch.float32}
        assert model(input_ids=IDS, labels=IDS).loss.isfinite()
    assert {t.dtype for t in rewritten(folder, tmp_path / "out").values()} == {torch.float16}


def test_weights_that_are_quantised_already_are_not_trained(tmp_path: Path) -> None:
    folder = folder_of("gpt_oss", tmp_path / "oss")
    change(folder / "config.json", quantization_config={"quant_method": "mxfp4"})
    with pytest.raises(BadData, match=r"quantised already \(mxfp4\); training needs the model in"):
        prepare(folder, TrainSettings(steps=1), "cpu")


def pickled(family: str, folder: Path, *, shards: int = 1) -> dict[str, torch.Tensor]:
    """A folder as transformers 4 wrote it: all tensors, tied ones twice, views of one storage."""
    model = FAMILIES[family]()
    model.save_pretrained(folder)
    (folder / WEIGHTS).unlink()
    state = model.state_dict()
    assert len({t.data_ptr() for t in state.values()}) < len(state) or family == "gpt_neox"
    if shards == 1:
        torch.save(state, folder / "pytorch_model.bin")
        return state
    where = {}
    for at, name in enumerate(state):
        where[name] = f"pytorch_model-0000{at % shards + 1}-of-0000{shards}.bin"
    for file in set(where.values()):
        torch.save({n: t for n, t in state.items() if where[n] == file}, folder / file)
    index = {"metadata": {}, "weight_map": where}
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps(index))
    return state


@pytest.mark.parametrize("family", ["gpt_neox", "qwen2"])
@pytest.mark.parametrize("shards", [1, 2])
def test_pickled_weights_are_converted_by_a_command(
    family: str, shards: int, tmp_path: Path, tiny_tokenizer: Path
) -> None:
    folder, out = tmp_path / "old", tmp_path / "new"
    state = pickled(family, folder, shards=shards)
    shutil.copytree(tiny_tokenizer, folder, dirs_exist_ok=True)
    assert is_pickled(folder)
    with pytest.raises(BadData, match=f"kollama2 convert {folder} -o OUT"):
        check(folder)
    command = ["convert", str(folder), "-o", str(out)]
    answer = CliRunner().invoke(command_line.app, command)
    assert answer.exit_code == 0, answer.output
    assert (out / "MANIFEST.json").is_file()  # it appeared whole
    written = load_file(out / WEIGHTS)
    assert written.keys() == state.keys() - ({"lm_head.weight"} if family == "qwen2" else set())
    assert all(torch.equal(tensor, state[name]) for name, tensor in written.items())
    for name in ("config.json", "generation_config.json", "tokenizer.model"):
        assert (out / name).read_bytes() == (folder / name).read_bytes()
    with torch.inference_mode():
        assert torch.equal(logits(out), FAMILIES[family]()(input_ids=IDS).logits)


def test_a_folder_of_another_tokenizer_is_refused_before_anything_is_written(
    tmp_path: Path,
) -> None:
    folder, out = tmp_path / "old", tmp_path / "new"
    pickled("gpt_neox", folder)
    (folder / "tokenizer.json").write_text("{}")
    with pytest.raises(BadData, match="tokenizer"):
        from_pickle(folder, out)
    assert not out.exists()


class Wicked:
    """What a pickle must not build."""


def test_a_pickle_of_more_than_tensors_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "old"
    state = pickled("gpt_neox", folder)
    torch.save({**state, "more": Wicked()}, folder / "pytorch_model.bin")
    with pytest.raises(BadData, match="is no file of tensors alone"):
        from_pickle(folder, tmp_path / "new")
    torch.save([1, 2], folder / "pytorch_model.bin")
    with pytest.raises(BadData, match="holds something else than tensors"):
        from_pickle(folder, tmp_path / "new")
    (folder / "pytorch_model.bin").unlink()
    index = {"weight_map": {"gpt_neox.embed_in.weight": "../elsewhere.bin"}}
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps(index))
    (tmp_path / "elsewhere.bin").write_bytes(b"")
    with pytest.raises(BadData, match=r"names \.\./elsewhere\.bin, which is not in the folder"):
        from_pickle(folder, tmp_path / "new")
