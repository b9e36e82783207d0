"""Models of different architecture are refused where a study is read, before anything runs."""

import json
import shutil
from pathlib import Path

import pytest

from kollama2.engine.document import Document
from kollama2.engine.store import Store
from kollama2.errors import BadUsage
from kollama2.stages import ExpandBlocks, Merge, Source
from kollama2.study.adapt import adaptation
from kollama2.study.frontier import combinations
from kollama2.study.lock import lock
from kollama2.study.merges import check_merges
from kollama2.train.merging.merge import gap, merge_models
from kollama2.train.merging.settings import MergeSettings
from tests.jsons import change

STUDY = """\
name: merges
base: {{uri: builtin:miniature}}
sources: {{ko: {{uri: builtin:miniature/text-ko}}, chat: {{uri: "file:{chat}"}}}}
axes:
  cpt: {{ko: {{kind: pretrain, data: ko, method: full, lr: 1.0e-3, bytes: 10KB}}}}
  then: {{vector: {{kind: merge, method: {method}, with: chat}}}}
suites: [quick]
"""
SAYS = r"file:tiny has hidden_size 64 and .*builtin:miniature has 192; only models of one archi"


@pytest.fixture
def tiny(tiny_model: Path, tmp_path: Path) -> Path:
    """The tiny model under a name of its own."""
    shutil.copytree(tiny_model, tmp_path / "tiny")
    return tmp_path / "tiny"


@pytest.mark.parametrize("method", ["chat-vector", "shadow-ft", "elchat", "linear", "ties"])
def test_a_study_is_refused_before_it_begins(method: str, tiny: Path, tmp_path: Path) -> None:
    path, store = tmp_path / "study.yaml", tmp_path / "runs"
    weight = "linear, weight: 0.5" if method == "linear" else method
    path.write_text(STUDY.format(chat=tiny, method=weight), encoding="utf-8")
    with pytest.raises(BadUsage, match="hidden_size"):
        lock(Document(path), store)
    assert not [one for one in store.iterdir() if one.is_dir()]
    path.write_text(
        STUDY.format(chat=tiny, method=weight).replace(f"file:{tiny}", "builtin:miniature")
    )
    assert len(lock(Document(path), store).cells) == 2


def test_so_are_one_recipe_and_a_frontier(tiny: Path, tmp_path: Path) -> None:
    recipe = {"base": "builtin:miniature", "data": [f"chat={tiny}"], "store": tmp_path / "runs"}
    with pytest.raises(BadUsage, match=SAYS):
        adaptation(recipe="elchat", small=True, **recipe)  # type: ignore[arg-type]
    with pytest.raises(BadUsage, match=r"miniature has hidden_size 192 and file:tiny has 64"):
        combinations("builtin:miniature", str(tiny), store=tmp_path / "runs")


def test_new_blocks_count_and_vocabularies_do_not(tiny: Path, tmp_path: Path) -> None:
    store = Store(tmp_path / "runs")
    model = Source(what="model", uri="file:tiny").at(tiny)
    wider = tmp_path / "wider"
    shutil.copytree(tiny, wider)
    config = json.loads((wider / "config.json").read_text(encoding="utf-8"))
    # An absent number of key heads is one for each head.
    del config["num_key_value_heads"]
    (wider / "config.json").write_text(json.dumps({**config, "vocab_size": 999}), encoding="utf-8")
    other = Source(what="model", uri="file:wider").at(wider)
    settings = MergeSettings(method="linear", weight=0.5)
    check_merges([Merge(model=model, others=(other,), settings=settings)], store)
    deeper = Merge(model=model, others=(ExpandBlocks(model=other, every=1),), settings=settings)
    with pytest.raises(BadUsage, match="what is made of file:wider has num_hidden_layers 4 and"):
        check_merges([deeper], store)


def test_what_is_not_at_hand_is_left_to_the_stage(tiny: Path, tmp_path: Path) -> None:
    hub = Source(what="model", uri="hf:meta-llama/Llama-2-7b-chat-hf", revision="0" * 40)
    model = Source(what="model", uri="file:tiny").at(tiny)
    settings = MergeSettings(method="linear", weight=0.5)
    check_merges([Merge(model=model, others=(hub,), settings=settings)], Store(tmp_path / "runs"))


def test_the_stage_reads_configurations_before_weights(tiny: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(tiny, other)
    change(other / "config.json", num_hidden_layers=3)
    # Weights that cannot be read: the architecture is refused before anyone tries.
    (other / "model.safetensors").write_bytes(b"no tensors")
    settings = MergeSettings(method="linear", weight=0.5)
    with pytest.raises(BadUsage, match="num_hidden_layers 3"):
        merge_models(settings, tmp_path / "out", ours=tiny, others=[other])
    with pytest.raises(BadUsage, match="num_hidden_layers 3"):
        gap(tiny, other)
    assert not (tmp_path / "out").exists()
