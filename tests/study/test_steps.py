"""Steps: unknown keys, budgets, learning-rate probes."""

from pathlib import Path
from typing import Any

import pytest

from kollama2.engine.document import Document
from kollama2.errors import BadUsage
from kollama2.study.schema import Budget
from kollama2.study.steps import PruneStep, VocabStep, parse_step

FIELDS: dict[str, Any] = {
    "kind": "finetune", "data": "ko", "method": "lora", "lr": 1e-3, "epochs": 2,
}  # fmt: skip


@pytest.fixture
def document(tmp_path: Path) -> Document:
    (tmp_path / "s.yaml").write_text("name: x\n", encoding="utf-8")
    return Document(tmp_path / "s.yaml")


def step(document: Document, budget: Budget | None = None, **changes: Any) -> Any:
    fields = {k: v for k, v in {**FIELDS, **changes}.items() if v != "absent"}
    return parse_step(fields, budget or Budget(), document, ("axes",))


def test_defaults_by_kind(document: Document) -> None:
    sft = step(document)
    assert (sft.loss, sft.data, sft.rates) == ("assistant", {"ko": 1.0}, None)
    assert (sft.settings.lr, sft.settings.epochs) == (1e-3, 2)
    assert step(document, kind="pretrain").loss == "all"


def test_the_study_gives_the_budget_where_the_step_has_none(document: Document) -> None:
    given = step(document, Budget(bytes=5000), epochs="absent")
    assert (given.settings.bytes, given.settings.epochs) == (5000, None)
    own = step(document, Budget(bytes=5000))
    assert (own.settings.bytes, own.settings.epochs) == (None, 2)
    assert step(document, bytes="2KB", epochs=None).settings.bytes == 2000


def test_rates_to_probe(document: Document) -> None:
    probed = step(document, lr={"probe": [3e-3, 1e-3], "share": 0.5})
    assert probed.rates.probe == (3e-3, 1e-3)
    assert probed.rates.share == 0.5
    # The placeholder must not depend on the order, or equal studies would have two keys.
    assert probed.settings.lr == 1e-3


VOCAB: dict[str, Any] = {"kind": "expand_vocab", "corpus": "ko", "size": 100}


def test_a_vocabulary_step(document: Document) -> None:
    grown = parse_step({**VOCAB, "init": "mean"}, Budget(bytes=9), document, ("axes",))
    assert isinstance(grown, VocabStep)
    assert (grown.corpus, grown.pieces.size, grown.rows.init) == (("ko",), 100, "mean")
    both = parse_step({**VOCAB, "corpus": ["ko", "en"]}, Budget(), document, ("axes",))
    assert isinstance(both, VocabStep)
    assert both.corpus == ("ko", "en")


def test_a_step_that_prunes(document: Document) -> None:
    found = parse_step({"kind": "prune_vocab", "keep": ["ko", "en"]}, Budget(), document, ("axes",))
    assert isinstance(found, PruneStep)
    assert found.settings.keep == ("ko", "en")
    for fields, says in (
        ({}, "the key 'keep' is missing"),
        ({"keep": ["korean"]}, "keep: input should be 'ar', "),
        ({"keep": ["korean"]}, "got 'korean'"),
        ({"keep": "ko"}, "keep is 'ko'; give a list, such as [ko]"),
        ({"keep": ["ko"], "corpus": "ko"}, "unknown key 'corpus'"),
    ):
        with pytest.raises(BadUsage) as caught:
            parse_step({"kind": "prune_vocab", **fields}, Budget(), document, ("axes",))
        assert says in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"sise": 8}, "unknown key 'sise'; did you mean 'size'?"),
        ({"rank": 8}, "unknown key 'rank'"),
        ({"corpus": None}, "the key 'corpus' is missing"),
        ({"corpus": 7}, "give a source's name"),
        ({"corpus": []}, "give a source's name"),
        ({"init": "wieghted_mean"}, "got 'wieghted_mean'"),
        ({"size": -1}, "size"),
    ],
)
def test_a_vocabulary_step_that_cannot_be_meant(
    document: Document, changes: dict[str, Any], says: str
) -> None:
    with pytest.raises(BadUsage) as caught:
        parse_step({**VOCAB, **changes}, Budget(), document, ("axes",))
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"rnak": 8}, "unknown key 'rnak'; did you mean 'rank'?"),
        ({"kind": "finetun"}, "kind is 'finetun'; use pretrain, finetune, "),
        ({"kind": "absent"}, "the key 'kind' is missing"),
        ({"data": "absent"}, "the key 'data' is missing"),
        ({"lr": "absent"}, "the key 'lr' is missing"),
        ({"lr": {"probe": [1e-3]}}, "probe"),
        ({"loss": "everything"}, "input should be 'assistant' or 'all', got 'everything'"),
        ({"data": {"ko": -1}}, "shares above 0"),
        ({"data": 7}, "shares above 0"),
        ({"bytes": "many MB"}, "no amount of bytes"),
        ({"method": "lorra"}, "got 'lorra'"),
        ({"steps": 5}, "one budget"),
        ({"epochs": "absent"}, "one budget"),
        ({"bytes": "-inf", "epochs": "absent"}, "'-inf' is no amount of bytes; write 50MB"),
        ({"shield": 0.5, "method": "full"}, "shield and calibration go together"),
        ({"calibration": "en", "method": "full"}, "shield and calibration go together"),
        ({"phases": {"ko": 1}, "data": "absent", "start": 0.5, "bytes": 9, "epochs": "absent"},
         "start has no effect without difficulty"),
        ({"phases": {"ko": 1}}, "phases say which data are learned; remove data"),
        ({"betas": [5, 0.9]}, "betas: input should be less than 1, got 5"),
        ({"betas": [0.9, "x"]}, "betas: input should be a valid number"),
        ({"betas": [0.9]}, "betas has no value number 2, got [0.9]"),
        ({"batch": 1, "rank": 0}, "rank: input should be greater than 0, got 0"),
        ({"targets": "q_proj"}, "targets is 'q_proj'; give all-linear, or a list of names"),
        ({"layers": [0, "x"]}, "layers is [0, 'x']; give all, new, or a list of numbers"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant(document: Document, changes: dict[str, Any], says: str) -> None:
    with pytest.raises(BadUsage) as caught:
        step(document, **changes)
    assert says in str(caught.value)
    assert str(caught.value).startswith(str(document.path))


def merge(document: Document, **keys: Any) -> Any:
    return parse_step({"kind": "merge", **keys}, Budget(), document, ("axes",))


@pytest.mark.parametrize("method", ["chat-vector", "shadow-ft", "elchat", "slerp"])
def test_a_merge_with_one_model_is_not_given_two(document: Document, method: str) -> None:
    assert merge(document, method=method, **{"with": "chat"}).others == ("chat",)
    assert merge(document, method=method, copies=2).copies == 2
    for two in ({"with": ["chat", "other"]}, {"with": "chat", "copies": 2}, {"copies": 3}):
        with pytest.raises(BadUsage, match=f"{method} merges with one model; 2 are given"):
            merge(document, method=method, **two)
    assert merge(document, method="linear", weight=0.5, copies=3).copies == 3


def test_shares_of_a_merge_are_shares(document: Document) -> None:
    for rates in ([9, 0.5, 0.5, 0.3], [0.3, 0.5, 0.5, -7]):
        with pytest.raises(BadUsage, match=r"rates: input should be (less|greater) than or equal"):
            merge(document, method="elchat", rates=rates, **{"with": "chat"})


@pytest.mark.parametrize(
    ("inner", "says"),
    [
        ({"kind": "finetun"}, "kind is 'finetun'; use pretrain, finetune, "),
        ({"knd": "finetune"}, "the key 'kind' is missing"),
        ({**FIELDS, "rnak": 8}, "unknown key 'rnak'; did you mean 'rank'?"),
    ],
)
def test_what_a_merge_is_made_with_is_told_as_any_step(
    document: Document, inner: dict[str, Any], says: str
) -> None:
    for given in ([inner], [[inner]]):
        with pytest.raises(BadUsage) as caught:
            merge(document, method="linear", weight=0.5, **{"with": given})
        assert says in str(caught.value)
