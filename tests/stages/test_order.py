"""Curricula as stages: the same rows in every order, budgets kept, sources made of pairs."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from pyarrow import parquet

from kollama2.engine.document import Document
from kollama2.engine.profile import Resources
from kollama2.engine.stage import Work
from kollama2.errors import BadUsage
from kollama2.stages import Derive, Encode, Order, Source, Train
from kollama2.stages.encode import MixturePart
from kollama2.stages.order import Knot
from kollama2.study.cells import cells
from kollama2.study.locate import Locator
from kollama2.study.schema import Study
from kollama2.train.batches import BatchPlan, Rows
from kollama2.train.settings import TrainSettings
from tests.stages.test_vocab import Bench
from tests.train.test_loop import Killed, curve, killer, weights
from tests.train.test_loop import run as train

NAMES = ("both", "words", "ko")
KNOTS = (Knot(at=0, shares=(1, 0, 0)), Knot(at=0.5, shares=(0, 1, 0)), Knot(at=1, shares=(0, 0, 1)))


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench(tmp_path_factory.mktemp("store"))


def encoded(model: Path, **sources: Source | Derive) -> tuple[Encode, ...]:
    tokenizer = Source(what="model", uri="file:tiny").at(model)
    return tuple(
        Encode(data=(MixturePart(source=one),), tokenizer=tokenizer, template="plain", loss="all")
        for one in sources.values()
    )


@pytest.fixture(scope="module")
def rows(tiny_model: Path) -> tuple[Encode, ...]:
    pairs = Source(what="data", uri="builtin:miniature/parallel", size=200, form="pairs")
    text = Source(what="data", uri="builtin:miniature/text-ko", size=40)
    return encoded(
        tiny_model,
        both=Derive(make="translations", pairs=pairs),
        words=Derive(make="switched-words", pairs=pairs, text=text),
        ko=text,
    )


def order(rows: tuple[Encode, ...], **changes: object) -> Order:
    fields = {"names": NAMES, "rows": rows, "knots": KNOTS, "bytes": 12_000, **changes}
    return Order.model_validate(fields)


def ids(bench: Bench, stage: Order) -> list[str]:
    column = parquet.read_table(bench.path(stage) / "rows.parquet", columns=["id"])["id"]
    return [str(one) for one in column.to_pylist()]


def test_all_orders_learn_the_same_rows_and_bytes(bench: Bench, rows: tuple[Encode, ...]) -> None:
    found, figures = {}, {}
    for name in ("forward", "reverse", "shuffled", "warmup10", "anneal-last"):
        stage = order(rows, order=name, difficulty="compression")
        figures[name] = bench.run(stage)
        found[name] = ids(bench, stage)
    assert len({frozenset(Counter(one).items()) for one in found.values()}) == 1
    assert len({tuple(sorted(one.items())) for one in figures.values()}) == 1
    assert len(set(map(tuple, found.values()))) == 5
    facts = figures["forward"]
    # Shares 1/4, 1/2, 1/4 of 12,000 bytes; of each source whole rows that reach its share.
    for name, share in zip(NAMES, (3000, 6000, 3000), strict=True):
        assert share <= int(str(facts[f"bytes_{name}"])) < share + 1500
    assert found["forward"][0].startswith("both:")
    assert found["forward"][-1].startswith("ko:")


def test_a_small_source_repeats_and_says_how_often(bench: Bench, rows: tuple[Encode, ...]) -> None:
    facts = bench.run(order(rows, bytes=120_000, seed=3))
    table = Rows(bench.path(rows[2]))
    assert facts["epochs_ko"] == pytest.approx(30_000 / table.bytes.sum(), rel=0.1)
    assert float(str(facts["epochs_ko"])) > 1


def test_a_budget_of_hangul_and_shares_of_tokens(bench: Bench, rows: tuple[Encode, ...]) -> None:
    facts = bench.run(order(rows, bytes=None, korean_bytes=8_000))
    assert 8_000 <= int(str(facts["ko_bytes"])) < 10_000
    even = tuple(Knot(at=at, shares=(1 / 3, 1 / 3, 1 / 3)) for at in (0, 1))
    stage = order(rows, knots=even, mix_by="tokens", bytes=30_000)
    bench.run(stage)
    tokens: Counter[str] = Counter()
    table = Rows(bench.path(stage))
    for name, length in zip(ids(bench, stage), table.lengths, strict=True):
        tokens[name.split(":")[0]] += int(length)
    for count in tokens.values():
        assert count / tokens.total() == pytest.approx(1 / 3, abs=0.03)


def test_training_follows_the_given_order(bench: Bench, rows: tuple[Encode, ...]) -> None:
    stage = order(rows)
    if not bench.path(stage).exists():
        bench.run(stage)
    table = Rows(bench.path(stage))
    settings = TrainSettings(batch=4, order="given", epochs=1, max_length=1024, seed=5)
    plan = BatchPlan(table, settings)
    seen = [part.row for step in range(plan.steps) for part in sorted(plan.step(step))]
    assert seen == list(range(len(table)))
    packed = BatchPlan(table, settings.model_copy(update={"packing": True, "batch": 1}))
    order_of = [min(p.row for p in packed.step(step)) for step in range(packed.steps)]
    assert sorted(p.row for s in range(packed.steps) for p in packed.step(s)) == seen
    # Packed rows mix neighbours only: early rows are learned before late ones.
    half = len(order_of) // 2
    assert max(order_of[: half // 2] or [0]) <= max(order_of[half:] or [0])


@pytest.mark.parametrize("method", ["full", pytest.param("lora", marks=pytest.mark.slow)])
def test_killed_and_resumed_the_curriculum_continues(
    method: str, bench: Bench, rows: tuple[Encode, ...], tiny_model: Path, tmp_path: Path
) -> None:
    stage = order(rows, difficulty="length", bytes=3_000, seed=7)
    if not bench.path(stage).exists():
        bench.run(stage)
    # Killed while it is written, the order is the same in the end.
    work = Work(tmp_path, tmp_path / "scratch", Resources(), bench.path, _killed)
    with pytest.raises(Killed):
        stage.run(work)
    stage.run(replace(work, tell=lambda _: None))
    written = [(at / "rows.parquet").read_bytes() for at in (tmp_path, bench.path(stage))]
    assert written[0] == written[1]

    fixed = {"order": "given", "batch": 4, "lr": 1e-3, "max_length": 256, "epochs": 1, "seed": 5}
    chosen = TrainSettings.model_validate({"method": method, **fixed})
    plan = BatchPlan(Rows(bench.path(stage)), chosen)
    assert plan.steps >= 4
    place = bench.path(stage)
    train(chosen, tiny_model, place, tmp_path / "whole")
    starts = []
    for step in (2, plan.steps - 1):
        with pytest.raises(Killed):
            train(
                chosen, tiny_model, place, tmp_path / "cut", killer(step), checkpoint_seconds=1e-9
            )
    train(chosen, tiny_model, place, tmp_path / "cut", lambda done, *_, **__: starts.append(done))
    # Loading, where it goes on, and the step that a kill interrupts is done again, no other.
    assert starts == [0, plan.steps - 2, plan.steps - 1, plan.steps]
    assert weights(tmp_path / "cut") == weights(tmp_path / "whole")
    # Every step saw the same text: bytes and tokens of each line, and its loss, to the bit.
    assert curve(tmp_path / "cut") == curve(tmp_path / "whole")


def _killed(_: object) -> None:
    raise Killed


STUDY = """\
name: phases
base: {uri: builtin:miniature}
sources:
  ko: {uri: builtin:miniature/text-ko}
  en: {uri: builtin:miniature/text-en, size: 200}
  pairs: {uri: builtin:miniature/parallel}
  both: {uri: "made:translations", pairs: pairs}
axes:
  order: {forward: {order: forward}, reverse: {order: reverse}}
  cpt:
    rising: {kind: pretrain, phases: [{at: 0, both: 1}, {at: 1, ko: 1}], method: full,
             lr: 1.0e-3, bytes: 10KB, schedule: wsd}
suites: [quick]
"""


def of(text: str, tmp_path: Path) -> list[Train]:
    path = tmp_path / "study.yaml"
    path.write_text(text, encoding="utf-8")
    document = Document(path)
    locator = Locator(tmp_path, {}, tmp_path / "hashes.json")
    found = cells(document.read(Study), document, locator)
    return [cell.stage.model for cell in found if isinstance(cell.stage.model, Train)]


def test_a_study_names_phases_and_their_orders(tmp_path: Path) -> None:
    forward, reverse = of(STUDY, tmp_path)
    assert isinstance(forward.rows, Order)
    assert isinstance(reverse.rows, Order)
    assert (forward.rows.order, reverse.rows.order) == ("forward", "reverse")
    assert forward.rows.rows == reverse.rows.rows  # encoded once
    assert forward.rows.bytes == 10_000
    assert (forward.settings.order, forward.settings.epochs, forward.settings.bytes) == (
        "given",
        1,
        None,
    )


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("both: 1}, {at: 1, ko: 1}", "both: 0}, {at: 1, ko: 0}", "one above 0"),
        ("{at: 1, ko: 1}", "{at: 1, kko: 1}", "names the source 'kko'; did you mean 'ko'"),
        ("{at: 1, ko: 1}", "{at: 0.5, ko: 1}", "must rise from 0 to 1"),
        ("pairs: pairs}", "pairs: both}", "both is itself made"),
        ("made:translations", "made:translation", "nothing is called made:translation"),
        ("bytes: 10KB", "epochs: 1", "phases need a budget in bytes"),
        ("lr: 1.0e-3", "lr: 1.0e-3, data: ko", "phases say which data are learned"),
        ("order: reverse", "order: backward", "order"),
        ("phases: [{at: 0, both: 1}, {at: 1, ko: 1}]", "data: ko", "order has no effect without"),
    ],
)
def test_bad_phases(old: str, new: str, says: str, tmp_path: Path) -> None:
    assert old in STUDY
    with pytest.raises(BadUsage, match=says):
        of(STUDY.replace(old, new), tmp_path)
