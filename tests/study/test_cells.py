"""Cells: from the options of axes to stages that share what they can."""

from collections.abc import Iterable, Iterator
from itertools import product
from pathlib import Path

import pytest

from kollama2.engine.document import Document
from kollama2.engine.stage import Stage
from kollama2.errors import BadUsage
from kollama2.stages import ExpandTokenizer, ExpandVocab, Train
from kollama2.study import cells as study_cells
from kollama2.study.cells import Cell, cells
from kollama2.study.locate import Locator
from kollama2.study.schema import Study

STUDY = """\
name: vocabulary
base: {uri: builtin:miniature}
sources:
  ko: {uri: builtin:miniature/text-ko}
budget: {bytes: 10KB}
seeds: [0, 1]
axes:
  init: {mean: {init: mean}, weighted: {init: weighted_mean}}
  vocab: {keep: none, ko1k: {kind: expand_vocab, corpus: ko, size: 1000}}
  cpt: {full: {kind: pretrain, data: ko, method: full, lr: 1.0e-3}}
suites: [quick]
"""


def of(text: str, tmp_path: Path) -> list[Cell]:
    path = tmp_path / "study.yaml"
    path.write_text(text, encoding="utf-8")
    document = Document(path)
    locator = Locator(tmp_path, {}, tmp_path / "hashes.json")
    return cells(document.read(Study), document, locator)


def test_an_expansion_is_shared_by_what_follows_it(tmp_path: Path) -> None:
    found = of(STUDY, tmp_path)
    models = {(cell.recipe, cell.seed): cell.stage.model for cell in found if not cell.base}
    kept, mean, weighted = (
        models[name, 0] for name in ("mean-full", "mean-ko1k-full", "weighted-ko1k-full")
    )
    assert isinstance(kept, Train)
    assert isinstance(mean, Train)
    assert isinstance(weighted, Train)
    assert kept.rows.tokenizer.kind == "source"
    assert isinstance(mean.model, ExpandVocab)
    assert isinstance(weighted.model, ExpandVocab)
    assert mean.model.settings.init == "mean"
    assert weighted.model.settings.init == "weighted_mean"
    # Inits and seeds differ in the model only: one tokenizer, one encoding.
    assert mean.rows.key == weighted.rows.key
    assert isinstance(mean.rows.tokenizer, ExpandTokenizer)
    assert mean.rows.tokenizer == mean.tokenizer_stage == weighted.tokenizer_stage
    other_seed = models["mean-ko1k-full", 1]
    assert isinstance(other_seed, Train)
    assert other_seed.model == mean.model


def test_every_stage_is_read_again_from_its_recipe(tmp_path: Path) -> None:
    for cell in of(STUDY, tmp_path):
        assert Stage.model_validate(cell.stage.recipe()).key == cell.stage.key


# Seven axes of ten options each; with the two, four recipes become 40 million.
TENS = ", ".join(f"o{n}: none" for n in range(10))
WIDE = "".join(f"  a{n}: {{{TENS}}}\n" for n in range(7))


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("[0, 1]", "[1, 1]", "1 is given twice"),
        ("[quick]", "[quick, quick]", "'quick' is given twice"),
        ("[0, 1]", "[-1]", "yaml:6: seeds: input should be greater than or equal to 0, got -1"),
        ("{bytes: 10KB}", "{bytes: 10KB, epochs: 2}", "one budget of .*; found epochs and bytes"),
        ("10KB", "9e99GB", "'9e99GB' is more than any disk holds"),
        ("10KB", "infGB", "'infGB' is no amount of bytes; write 50MB"),
        ("10KB", '"-infMB"', "'-infMB' is no amount of bytes; write 50MB"),
        ("10KB", "-9e99GB", "bytes: input should be greater than 0"),
        ("10KB", "999999999PB", "is more than any disk holds; at most 1,000 PB can be meant"),
        ("{bytes: 10KB}", "10KB", "yaml:5: budget: say of what: {bytes: 50MB}, or korean_bytes"),
        ("10KB", "10 kilobytes", "'10 kilobytes' is no amount of bytes; write 50MB"),
        ("[0, 1]", "[true]", "yaml:6: seeds: true and false are no numbers"),
        ("{bytes: 10KB}", "{epochs: true}", "epochs: true and false are no numbers"),
        ("lr: 1.0e-3", "lr: inf", "lr: input should be a finite number, got 'inf'"),
        ("lr: 1.0e-3", "lr: .inf", "'.inf' is no finite number"),
        ("lr: 1.0e-3", "lr: true", "lr: true and false are no numbers"),
        ("data: ko", "data: {ko: true}", "data: true and false are no numbers"),
        ("data: ko", "data: {ko: inf}", "data is {'ko': 'inf'}; give a source's name"),
        ("text-ko}", "text-ko, size: 100000000}", "less than or equal to 10000000"),
        ("{init: mean}", "{innit: mean}",
         r"study.yaml:8: unknown key 'innit'; did you mean 'init'"),
        ("{init: mean}", "{knd: finetune}", "yaml:8: unknown key 'knd'; did you mean 'kind'"),
        ("{init: mean}", "{init: mena}", "yaml:8: init: input should be .*, got 'mena'"),
        ("{init: mean}", "{batch: 8, beta: 1}",
         "yaml:8: no step after this option takes 'beta' from it"),
        ("kind: pretrain, ", "", "yaml:10: no step after this option takes 'data' from it"),
        ("{init: mean}", "{method: full}", "yaml:8: no step after this option takes 'method'"),
        ("suites:", WIDE + "suites:", "yaml:7: the axes have 40,000,000 combinations"),
        ("[0, 1]", str([*range(3000)]), "yaml:6: 4 recipes x 3,000 seeds x 1 suites are 12,000 "),
        ("{uri: builtin:miniature/text-ko}", "{uri: 'file:.', file: ../*}",
         r"`file` is '\.\./\*'; name a file inside"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant(tmp_path: Path, old: str, new: str, says: str) -> None:
    with pytest.raises(BadUsage, match=says):
        of(STUDY.replace(old, new), tmp_path)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("{full: {kind", "{base: {kind", "study.yaml: 2 models of this study are called 'base'"),
        ("[quick]", "[quick, again.suite.yaml]", "2 suites call themselves 'quick'"),
    ],
)
def test_two_models_or_suites_of_one_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old: str, new: str, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "again.suite.yaml").write_text(
        "name: quick\nprimary: text-ko/bpb\ntasks:\n"
        "  - {name: text-ko, measure_kind: bits_per_byte, lang: ko, "
        "data: builtin:miniature/suite/text-ko}\n"
    )
    study = STUDY.replace("  init: {mean: {init: mean}, weighted: {init: weighted_mean}}\n", "")
    assert old in study
    with pytest.raises(BadUsage, match=said):
        of(study.replace(old, new), tmp_path)


def test_combinations_are_crossed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    crossed: list[int] = []

    def counted(*options: Iterable[str]) -> Iterator[tuple[str, ...]]:
        crossed.append(1)
        return product(*options)

    monkeypatch.setattr(study_cells, "product", counted)
    assert len(of(STUDY, tmp_path)) == 9
    assert len(crossed) == 1
