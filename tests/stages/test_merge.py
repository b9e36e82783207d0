"""Steps that merge models and add blocks, from a study to a model folder."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from kollama2.engine.document import Document
from kollama2.engine.stage import Stage
from kollama2.errors import BadUsage
from kollama2.model.card import read_card
from kollama2.model.load import load_model
from kollama2.stages import ExpandBlocks, Merge, ModelStage, Source, Train
from kollama2.study.cells import cells
from kollama2.study.locate import Locator
from kollama2.study.schema import Study
from kollama2.train.blocks import expand_blocks, places
from kollama2.train.merging.settings import MergeSettings
from kollama2.train.prepare import prepare, trained
from kollama2.train.settings import TrainSettings
from tests.stages.test_vocab import Bench

STUDY = """\
name: merges
base: {uri: builtin:miniature}
sources:
  ko: {uri: builtin:miniature/text-ko}
  english: {uri: builtin:miniature/alpaca-en}
  chat: {uri: builtin:miniature}
axes:
  cpt: {ko: {kind: pretrain, data: ko, method: full, lr: 1.0e-3, bytes: 10KB}}
  then:
    vector:
      kind: merge
      method: chat-vector
      weight: 0.5
      with: [{kind: finetune, data: english, method: full, lr: 1.0e-3, bytes: 10KB}]
    shadow: {kind: merge, method: shadow-ft, with: chat}
    soup: {kind: merge, method: linear, weight: 0.5, copies: 2}
    deeper: {kind: expand_blocks, every: 2}
suites: [quick]
"""


def of(text: str, tmp_path: Path) -> dict[str, ModelStage]:
    path = tmp_path / "study.yaml"
    path.write_text(text, encoding="utf-8")
    document = Document(path)
    locator = Locator(tmp_path, {}, tmp_path / "hashes.json")
    return {c.recipe: c.stage.model for c in cells(document.read(Study), document, locator)}


def test_what_the_steps_mean(tmp_path: Path) -> None:
    found = of(STUDY, tmp_path)
    vector, shadow, soup = (found[f"ko-{name}"] for name in ("vector", "shadow", "soup"))
    assert isinstance(vector, Merge)
    assert isinstance(shadow, Merge)
    assert isinstance(soup, Merge)
    trained_first = vector.model
    assert isinstance(trained_first, Train)
    assert vector.base == found["base"]
    assert [other.kind for other in vector.others] == ["finetune"]
    assert vector.others[0].model == found["base"]  # type: ignore[union-attr]
    # Shadow-FT changes the chat model by what ours learned.
    assert isinstance(shadow.model, Source)
    assert shadow.others == (trained_first,)
    assert [m.settings.seed for m in (soup.model, *soup.others)] == [0, 1000]  # type: ignore[union-attr]
    assert soup.base is None
    assert isinstance(found["ko-deeper"], ExpandBlocks)
    for model in (vector, shadow, soup, found["ko-deeper"]):
        assert Stage.model_validate(model.recipe()) == model


def test_the_seed_of_a_copy_stays_a_seed(tmp_path: Path) -> None:
    text = STUDY.replace("suites:", "seeds: [4294967295]\nsuites:")
    soup = of(text, tmp_path)["ko-soup"]
    assert isinstance(soup, Merge)
    seeds = [one.settings.seed for one in (soup.model, *soup.others)]  # type: ignore[union-attr]
    assert seeds == [2**32 - 1, 999]
    assert Stage.model_validate(soup.recipe()) == soup


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("with: chat", "with: chatt", "names the source 'chatt'; did you mean 'chat'"),
        ("with: chat", "weight: 1", "a merge needs with"),
        ("with: chat", "with: [7]", "give a source's name or a list of steps"),
        ("copies: 2", "copies: 0", "copies: input should be greater than or equal to 1, got 0"),
        ("every: 2", "every: none", "every: input should be a valid integer.*, got 'none'"),
        ("method: linear", "method: lineal", "method"),
        ("with: [{kind: finetune, data: english,", "with: [{kind: finetune, dat: english,",
         "unknown key 'dat'"),
    ],
)  # fmt: skip
def test_bad_steps(old: str, new: str, says: str, tmp_path: Path) -> None:
    assert old in STUDY
    with pytest.raises(BadUsage, match=says):
        of(STUDY.replace(old, new), tmp_path)


def test_a_merge_runs_as_a_stage(tiny_model: Path, tmp_path: Path) -> None:
    base = Source(what="model", uri="file:base").at(tiny_model)
    chat = Source(what="model", uri="file:base", alias="chat").at(tiny_model)
    stage = Merge(
        model=base,
        others=(chat,),
        base=base,
        settings=MergeSettings(method="chat-vector"),
        template="llama2",
    )
    bench = Bench(tmp_path)
    facts = bench.run(stage)
    assert facts["gap"] == 0
    assert next(iter(facts)) == "gap"
    out = bench.path(stage) / "model"
    ours, theirs = (load_file(m / "model.safetensors") for m in (out, tiny_model))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    assert read_card(out).template == "llama2"


def test_new_blocks_change_nothing_until_they_are_trained(tiny_model: Path, tmp_path: Path) -> None:
    assert places(4, 2) == [(0, False), (1, False), (1, True), (2, False), (3, False), (3, True)]
    facts = expand_blocks(tiny_model, tmp_path / "deep", every=1)
    assert facts == {"blocks": 4, "new_blocks": [1, 3]}
    ids = torch.arange(3, 40)[None]
    with torch.no_grad():
        old, new = (load_model(m)(ids).logits for m in (tiny_model, tmp_path / "deep"))
    assert torch.equal(old, new)
    network = prepare(
        tmp_path / "deep", TrainSettings(method="full", layers="new", tables=False, steps=1)
    )
    assert {name.split(".layers.")[1][0] for name, _ in trained(network)} == {"1", "3"}
    with pytest.raises(BadUsage, match="has 2 blocks; a new one after every 3 is none"):
        expand_blocks(tiny_model, tmp_path / "none", every=3)
    with pytest.raises(BadUsage, match="no new blocks"):
        prepare(tiny_model, TrainSettings(method="full", layers="new", tables=False, steps=1))


@pytest.mark.parametrize(
    ("fields", "blocks", "tables"),
    [
        ({"layers": (0, -1)}, {"0", "1"}, True),
        ({"layers": (1,), "tables": False}, {"1"}, False),
        ({"layers": ()}, set(), True),
        ({"tables": False}, {"0", "1"}, False),
    ],
)
def test_which_weights_are_trained(
    fields: dict[str, object], blocks: set[str], tables: bool, tiny_model: Path
) -> None:
    settings = TrainSettings.model_validate({"method": "full", "steps": 1, **fields})
    names = [name for name, _ in trained(prepare(tiny_model, settings))]
    assert {n.split(".layers.")[1][0] for n in names if ".layers." in n} == blocks
    assert any("lm_head" in n for n in names) == any("embed" in n for n in names) == tables
    with pytest.raises(BadUsage, match="layers names 7, but the model has blocks 0 to 1"):
        prepare(tiny_model, settings.model_copy(update={"layers": (7,)}))
