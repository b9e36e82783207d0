"""Export: every form from one model, chosen by name or by a study, and what is refused."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from huggingface_hub import ModelCard
from safetensors.torch import load_file, save_file

from kollama2.errors import BadData, BadUsage, Corrupt, Missing, StorageTrouble
from kollama2.exporting.model import export
from kollama2.model.files import read_json, write_json
from kollama2.model.folder import ModelFolder
from kollama2.model.load import load_model, whole
from tests import chat_folders, tiny
from tests.reporting import fake
from tests.train.test_onto import grown_base, tuned


def names(folder: Path) -> set[str]:
    return {one.name for one in folder.iterdir()}


@pytest.fixture(scope="module")
def adapter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("adapter")
    return tuned(grown_base(folder, tied=False)[1], folder)


def test_an_adapter_is_merged_and_compared(adapter: Path, tmp_path: Path) -> None:
    said: list[str] = []
    found = export(str(adapter), tmp_path / "out", tell=said.append)
    assert found.figures["divergence"] <= 1e-5
    assert said == list(found.said)
    assert said[0].startswith("merged onto the base's unquantised weights: ")
    ids = torch.tensor([[1, 300, 301, 302]])
    with torch.no_grad():
        ours, theirs = (load_model(f, device="cpu")(ids).logits for f in (adapter, found.folder))
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=0)
    wanted = {"config.json", "model.safetensors", "tokenizer.model", "README.md", "MANIFEST.json"}
    assert wanted <= names(found.folder)
    card = ModelCard.load(found.folder / "README.md")
    assert "new tokens from id 384 on, 448 in all" in card.text
    assert str(tmp_path) not in card.content


def test_metas_form_has_a_card_and_the_licence(tmp_path: Path) -> None:
    base = tiny.write_model(tmp_path / "Llama-2-7b-tiny", vocab_size=404)
    (base / "LICENSE.txt").write_text("its licence", encoding="utf-8")
    found = export(str(tuned(base, tmp_path)), tmp_path / "out", to="meta", shards=2)
    assert found.figures["divergence"] <= 1e-5
    assert names(found.folder) == {
        "consolidated.00.pth", "consolidated.01.pth", "params.json", "checklist.chk",
        "tokenizer.model", "README.md", "LICENSE.txt", "NOTICE", "MANIFEST.json",
    }  # fmt: skip
    card = ModelCard.load(found.folder / "README.md")
    assert (card.data.license, card.data.library_name) == ("llama2", None)
    assert "This folder holds `consolidated.NN.pth` for Meta's Llama 2 code." in card.text


def test_an_adapter_as_it_is_and_as_a_file(adapter: Path, tmp_path: Path) -> None:
    export(str(adapter), tmp_path / "as-it-is", to="adapter")
    assert {"adapter_config.json", "adapter_model.safetensors"} <= names(tmp_path / "as-it-is")
    assert ModelCard.load(tmp_path / "as-it-is" / "README.md").data.library_name == "peft"
    with torch.no_grad():
        ids = torch.tensor([[1, 300, 301]])
        before, after = (
            load_model(f, device="cpu")(ids).logits for f in (adapter, tmp_path / "as-it-is")
        )
    assert torch.equal(before, after)
    alone = tmp_path / "alone"
    shutil.copytree(adapter, alone)
    settings = read_json(alone / "adapter_config.json")
    settings["base_model_name_or_path"] = "owner/base"
    write_json(alone / "adapter_config.json", settings)
    export(ModelFolder.read(alone, adapter.parent.parent / "grown"), tmp_path / "hub", to="adapter")
    settings = read_json(tmp_path / "hub" / "adapter_config.json")
    assert settings["base_model_name_or_path"] == "owner/base"
    assert "base" not in read_json(tmp_path / "hub" / "kollama2.json")
    said: list[str] = []
    found = export(str(adapter), tmp_path / "file", to="gguf", kind="Q8_0", tell=said.append)
    assert names(found.folder) == {"model-Q8_0.gguf", "README.md", "MANIFEST.json"}
    assert found.figures["tensors"] == 21
    assert "ids of 1,999 lines" in said[1]
    own, file = found.figures["bits"], found.figures["file_bits"]
    assert file["ko"] == pytest.approx(own["ko"], abs=0.01)
    assert file != own
    with pytest.raises(BadUsage, match="which nobody else has, so the adapter is not published"):
        export(str(adapter), tmp_path / "no", to="adapter", public=True)
    with pytest.raises(BadUsage, match="holds whole weights, no adapter"):
        export(str(tiny.write_model(tmp_path / "whole")), tmp_path / "no", to="adapter")
    assert not (tmp_path / "no").exists()


def test_whole_weights_get_every_stop_id_and_nothing_pickled(tmp_path: Path) -> None:
    folder = chat_folders.write_folder(tmp_path / "chat", "llama", eos="<|endoftext|>")
    (folder / "pytorch_model.bin").write_bytes(b"a pickle")
    (folder / "README.md").write_text("---\nlicense: mit\n---\nTheirs.\n", encoding="utf-8")
    export(str(folder), tmp_path / "out")
    encoder = ModelFolder.read(folder).encoder()
    stops = [encoder.tokenizer.special[one] for one in ("<|endoftext|>", "<|im_end|>")]
    assert read_json(tmp_path / "out" / "generation_config.json")["eos_token_id"] == stops
    assert "pytorch_model.bin" not in names(tmp_path / "out")
    card = ModelCard.load(tmp_path / "out" / "README.md")
    assert (card.data.license, card.data.library_name) == ("mit", "transformers")
    assert "Theirs." not in card.text
    ids = torch.tensor([[5, 6, 7]])
    with torch.no_grad():
        before, after = (whole(f)(ids).logits for f in (folder, tmp_path / "out"))
    assert torch.equal(before, after)


def test_damaged_whole_weights_are_not_copied(tmp_path: Path) -> None:
    folder = tiny.write_model(tmp_path / "model")
    tensors = load_file(folder / "model.safetensors")
    tensors["model.norm.weight"][3] = float("nan")
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(BadData, match=r"model\.norm\.weight holds NaN or infinities"):
        export(str(folder), tmp_path / "out")
    (folder / "tokenizer.model").unlink()
    with pytest.raises(BadData, match=r"holds no tokenizer\.model and no tokenizer\.json"):
        export(str(folder), tmp_path / "out")
    fake.seal(folder)
    (folder / "MANIFEST.json").write_text("{}", encoding="utf-8")
    with pytest.raises(Corrupt, match=r"MANIFEST\.json is damaged"):
        export(str(folder), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_what_cannot_be_exported_is_told(tiny_model: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(
        BadUsage, match="there is no form 'onnx'; it can be hf, adapter, meta, gguf, ollama"
    ):
        export(str(tiny_model), out, to="onnx")
    with pytest.raises(BadUsage, match="a GGUF has no type 'Q3_K_M'; it can be F32, F16"):
        export(str(tiny_model), out, to="gguf", kind="Q3_K_M")
    with pytest.raises(BadUsage, match=r"no such model, and .* knows no study .* \(it knows: none"):
        export("nothing", out, store=tmp_path)
    with pytest.raises(BadUsage, match="type F16 is of a GGUF, and the form is hf; take gguf"):
        export(str(tiny_model), out, kind="F16")
    with pytest.raises(BadUsage, match="shards are of Meta's form, and the form is gguf"):
        export(str(tiny_model), out, to="gguf", shards=1)
    with pytest.raises(
        BadUsage, match=f"a licence is given for hf:a/b, and there is: {tiny_model.name}"
    ):
        export(str(tiny_model), out, licences={"hf:a/b": "mit"})
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").write_text("x")
    with pytest.raises(StorageTrouble, match="exists already and is never overwritten"):
        export(str(tiny_model), tmp_path / "full")
    assert not out.exists()


def test_a_file_that_would_be_another_model_never_gets_its_name(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import gguf

    real = gguf.quants.quantize
    monkeypatch.setattr(gguf.quants, "quantize", lambda data, kind: real(data * 1.01, kind))
    with pytest.raises(BadData, match="is not stored as F16 should store it"):
        export(str(tiny_model), tmp_path / "out", to="gguf")
    assert list(tmp_path.iterdir()) == []


def put_model(store: Path, recipe: str, seed: int) -> Path:
    """A real model in the place of a made-up stage."""
    lock = json.loads((store / "studies" / "quick.json").read_text(encoding="utf-8"))
    (cell,) = (o for o in lock["cells"] if (o["recipe"], o["seed"]) == (recipe, seed))
    folder: Path = store / cell["model"]
    tiny.write_model(folder / "model", seed=seed)
    write_json(folder / "model" / "kollama2.json", {"template": "llama2", "method": "full"})
    fake.seal(folder)
    return folder / "model"


def test_a_study_hands_over_its_recommended_recipe(tmp_path: Path) -> None:
    store = tmp_path / "store"
    fluent = [replace(one, english=one.english / 100) for one in fake.RECIPES]
    fake.write(store, recipes=(fluent[0], fluent[1], fluent[4]))
    for seed in (0, 1, 2):
        put_model(store, "alpaca-full", seed)
    found = export("quick", tmp_path / "out", store=store)
    which = found.said[0]
    assert which.startswith("alpaca-full of quick (recommended by the study): seed ")
    assert which.endswith(", the best of those computed")
    card = ModelCard.load(tmp_path / "out" / "README.md")
    data = card.data
    assert (data.datasets, data.language, data.model_name) == (["a/b"], ["ko", "en"], found.name)
    assert found.name == "quick-alpaca-full"
    by_name = {f"{o.dataset_name}/{o.metric_type}": o.metric_value for o in data.eval_results}
    seed = which.split("seed ")[1][0]
    done = next(
        json.loads((store / one["evaluate"] / "done.json").read_text(encoding="utf-8"))
        for one in json.loads((store / "studies" / "quick.json").read_text())["cells"]
        if (one["recipe"], str(one["seed"])) == ("alpaca-full", seed)
    )
    scores = done["metrics"]["scores"]
    assert by_name == {name: round(score, 6) for name, score in scores.items()}
    for text in (
        "> - hf:a/b says no licence (unknown)",
        "| text-ko/bpb | lower |",
        "text-ko 0 of 58, quiz-ko 0 of 55",
        "kollama2 export quick:alpaca-full -o OUT",
        "Nobody has measured the safety of this model",
        "Community",
    ):
        assert text in card.text, text
    with pytest.raises(BadUsage, match="has no recipe 'alpaca-fall'; did you mean 'alpaca-full'"):
        export("quick:alpaca-fall", tmp_path / "no", store=store)


def test_a_recipe_that_is_not_admissible_says_so(tmp_path: Path) -> None:
    store = tmp_path / "store"
    fake.write(store, recipes=fake.RECIPES[:2])
    for seed in (0, 1, 2):
        put_model(store, "alpaca-full", seed)
    found = export("quick:alpaca-full", tmp_path / "out", store=store)
    why = re.escape("% bits per byte where 2% is allowed")
    assert re.match(rf"alpaca-full of quick \(not admissible: English \+\d.*{why}", found.said[0])
    text = ModelCard.load(found.folder / "README.md").text
    assert re.search(rf"- \*\*Not admissible by the study's own rule\*\*: English .*{why}", text)
    assert re.search(r"scores of the model of seed \d as it was trained, before any merging", text)


def test_a_recipe_that_is_not_computed_is_told(tmp_path: Path) -> None:
    missing = frozenset(("alpaca-lora", seed) for seed in (0, 1, 2))
    fake.write(tmp_path, missing=missing)
    with pytest.raises(Missing, match="alpaca-lora of quick is not computed; kollama2 run quick"):
        export("quick:alpaca-lora", tmp_path / "out", store=tmp_path)
    with pytest.raises(BadUsage, match=r"quick recommends no recipe: .* Name one as quick:RECIPE"):
        export("quick", tmp_path / "out", store=tmp_path)
    with pytest.raises(BadUsage, match="quick: names no recipe; it is quick for the recommended"):
        export("quick:", tmp_path / "out", store=tmp_path)


def test_a_folder_with_the_name_of_a_study_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake.write(tmp_path / "store", recipes=fake.RECIPES[:2])
    monkeypatch.chdir(tmp_path)
    tiny.write_model(tmp_path / "quick")
    said: list[str] = []
    export("quick", tmp_path / "out", store=tmp_path / "store", tell=said.append)
    assert said == [
        "quick is the folder here, not the study of that name; name that as STUDY:RECIPE"
    ]


def test_llama_2_brings_its_papers(tmp_path: Path) -> None:
    folder = tiny.write_model(tmp_path / "Llama-2-7b-tiny")
    (folder / "LICENSE.txt").write_text("its licence", encoding="utf-8")
    export(str(folder), tmp_path / "out")
    assert (tmp_path / "out" / "LICENSE.txt").read_text() == "its licence"
    assert "Copyright (c) Meta Platforms, Inc." in (tmp_path / "out" / "NOTICE").read_text()
    card = ModelCard.load(tmp_path / "out" / "README.md")
    assert card.data.license == "llama2"
    for place in ("license/", "use-policy/", "responsible-use-guide/"):
        assert f"https://ai.meta.com/llama/{place}" in card.text


@pytest.mark.parametrize(("name", "caution"), [(None, True), ("unknown", True), ("ours", False)])
def test_another_licence_stays_what_it_is(name: str | None, caution: bool, tmp_path: Path) -> None:
    folder = tiny.write_model(tmp_path / "model")
    said = f"license_name: {name}\n" if name else ""
    (folder / "README.md").write_text(f"---\nlicense: other\n{said}---\n", encoding="utf-8")
    for source, out in ((folder, tmp_path / "a"), (tmp_path / "a", tmp_path / "b")):
        export(str(source), out)
        card = ModelCard.load(out / "README.md")
        assert (card.data.license, card.data.license_name) == ("other", name or "unknown")
        assert ("says no licence (unknown)" in card.text) is caution


def test_the_base_is_called_by_the_uri_it_was_asked_for_by(tmp_path: Path) -> None:
    uri, folder = "hf:meta-llama/Llama-2-7b-hf", tiny.write_model(tmp_path / "copy")
    write_json(folder / "kollama2.json", {"template": "llama2", "recipe": {"random": 0}})
    export(uri, tmp_path / "out", mirrors={uri: folder})
    assert "Copyright (c) Meta Platforms, Inc." in (tmp_path / "out" / "NOTICE").read_text()
    card = ModelCard.load(tmp_path / "out" / "README.md")
    assert (card.data.license, card.data.base_model) == ("llama2", "meta-llama/Llama-2-7b-hf")
    assert f"{uri}, as it came. This folder holds" in card.text
    export(uri, tmp_path / "b", mirrors={uri: folder}, licences={uri: "mine"})
    assert ModelCard.load(tmp_path / "b" / "README.md").data.license == "mine"


def test_a_merge_names_every_model(tmp_path: Path) -> None:
    store = tmp_path / "store"
    fake.write(store, recipes=fake.RECIPES[:2])
    for seed in (0, 1, 2):
        put_model(store, "alpaca-full", seed)
        stage = put_model(store, "alpaca-full", seed).parent
        settings = read_json(stage / "stage.json")
        sources = [
            {"what": "model", "uri": uri, "revision": "main"}
            for uri in ("hf:HuggingFaceTB/SmolLM2-135M", "hf:someone/Llama-2-ko")
        ]
        write_json(stage / "stage.json", {**settings, "others": sources})
        fake.seal(stage)
    export("quick:alpaca-full", tmp_path / "out", store=store)
    card = ModelCard.load(tmp_path / "out" / "README.md")
    assert card.data.base_model == ["HuggingFaceTB/SmolLM2-135M", "someone/Llama-2-ko"]
    assert (card.data.base_model_relation, card.data.license) == ("merge", "other")
    for one in sources:
        assert f"| base | {one['uri']} | main |" in card.text
    assert (tmp_path / "out" / "NOTICE").is_file()


def test_licences_that_ask_for_a_look_stand_first(tmp_path: Path) -> None:
    folder = tiny.write_model(tmp_path / "model")
    export(str(folder), tmp_path / "a", licences={"model": "cc-by-nc-4.0"})
    text = ModelCard.load(tmp_path / "a" / "README.md").text
    first = text.index("model is not for commercial use (cc-by-nc-4.0)")
    assert first < text.index("## What it was made of")
    export(str(folder), tmp_path / "b", licences={"model": "apache-2.0"})
    assert "Licences to look at" not in ModelCard.load(tmp_path / "b" / "README.md").text
