"""The estimate of a plan: sizes of known models to the weight, budgets to the token."""

import json
from pathlib import Path

import pytest

from kollama2.engine.graph import plan
from kollama2.engine.profile import Profile
from kollama2.engine.stage import Stage
from kollama2.engine.store import Store
from kollama2.records.done import Done
from kollama2.stages import (
    Encode,
    ExpandBlocks,
    ExpandTokenizer,
    ExpandVocab,
    Prefer,
    Probe,
    PruneTokenizer,
    PruneVocab,
    Source,
    Train,
)
from kollama2.stages.config import read_config
from kollama2.stages.encode import MixturePart
from kollama2.study.estimate import estimate
from kollama2.study.shape import shape_of
from kollama2.train.preference_settings import PreferSettings
from kollama2.train.settings import TrainSettings
from kollama2.vocab.expected import tokens_left
from kollama2.vocab.settings import InitSettings, PruneSettings, VocabSettings

LLAMA_2_7B = {
    "hidden_size": 4096,
    "intermediate_size": 11008,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "vocab_size": 32000,
}
LLAMA_2_70B = {
    "hidden_size": 8192,
    "intermediate_size": 28672,
    "num_hidden_layers": 80,
    "num_attention_heads": 64,
    "num_key_value_heads": 8,
    "vocab_size": 32000,
}


@pytest.mark.parametrize(
    ("config", "published", "norms"),
    [
        (LLAMA_2_7B, 6_738_415_616, 65 * 4096),
        (LLAMA_2_70B, 68_976_648_192, 161 * 8192),
    ],
)
def test_the_sizes_of_llama_2(
    tmp_path: Path, config: dict[str, int], published: int, norms: int
) -> None:
    (tmp_path / "config.json").write_text(json.dumps(config))
    found = shape_of(read_config(tmp_path))
    assert found is not None
    assert found.parameters + norms == published


@pytest.mark.parametrize("text", ["", "[]", '{"hidden_size": 8}', "{", '{"hidden_size": "x"}'])
def test_a_file_that_tells_no_shape(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.json").write_text(text)
    assert shape_of(read_config(tmp_path)) is None
    assert shape_of(read_config(tmp_path / "none")) is None


def training(base: Source, **settings: object) -> Train:
    data = Source(what="data", uri="builtin:miniature/alpaca-ko", size=10, edition=1)
    rows = Encode(data=(MixturePart(source=data),), tokenizer=base)
    return Train(
        kind="finetune", model=base, rows=rows, settings=TrainSettings.model_validate(settings)
    )


@pytest.fixture
def base(tmp_path: Path) -> Source:
    folder = tmp_path / "7b"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(LLAMA_2_7B))
    return Source(what="model", uri="file:7b", sha256="0").at(folder)


def cost(tmp_path: Path, *stages: Stage, profile: Profile = Profile()):  # noqa: B008
    store = Store(tmp_path / "runs")
    return estimate(plan(stages, store), store, profile)


def test_full_training_costs_six_flops_a_weight_and_token(tmp_path: Path, base: Source) -> None:
    found = cost(tmp_path, training(base, method="full", bytes=1_600_000))
    assert found.tokens == 1_000_000
    assert found.flops == 6 * (6_738_149_376 - 131_072_000) * 1_000_000
    # 16 bytes a weight, and activations of 4,096 tokens at once.
    assert found.memory_bytes is not None
    assert 100e9 < found.memory_bytes < 160e9
    assert found.disk_bytes == 4 * 6_738_149_376
    assert found.seconds is None
    assert found.unknown == ()


def test_an_adapter_trains_and_stores_only_itself(tmp_path: Path, base: Source) -> None:
    full = cost(tmp_path, training(base, method="full", steps=10))
    lora = cost(tmp_path, training(base, method="lora", rank=16, steps=10))
    qlora = cost(tmp_path, training(base, method="qlora", rank=16, steps=10))
    # Rank 16 on all linear layers of Llama 2 7B is 39,976,960 weights, as peft counts them.
    assert lora.disk_bytes == qlora.disk_bytes == 4 * 39_976_960
    assert full.memory_bytes is not None and lora.memory_bytes is not None
    assert qlora.memory_bytes is not None
    assert full.memory_bytes > lora.memory_bytes > qlora.memory_bytes
    assert full.tokens == 10 * 32 * 1024


def test_a_probe_counts_each_of_its_rates(tmp_path: Path, base: Source) -> None:
    plain = training(base, method="full", bytes=160_000)
    probe = Probe(
        model=base, rows=plain.rows, settings=plain.settings, candidates=(1e-3, 2e-3), share=0.25
    )
    found = cost(tmp_path, plain.model_copy(update={"probe": probe}))
    assert (found.trainings, found.tokens) == (3, 150_000)
    assert found.disk_bytes == 4 * 6_738_149_376


def test_what_is_out_of_reach_is_named(tmp_path: Path) -> None:
    gated = Source(what="model", uri="hf:meta-llama/Llama-2-7b-hf", revision="0" * 40)
    found = cost(tmp_path, training(gated, method="full", bytes=1000))
    assert found.unknown == ("hf:meta-llama/Llama-2-7b-hf",)
    assert (found.trainings, found.flops, found.seconds) == (1, None, None)


def test_the_base_of_the_miniature_is_known(tmp_path: Path) -> None:
    miniature = Source(what="model", uri="builtin:miniature")
    found = cost(tmp_path, training(miniature, method="full", bytes=160_000))
    assert found.disk_bytes is not None
    assert 4 * 3.3e6 < found.disk_bytes < 4 * 3.5e6


def grown(base: Source, **settings: object) -> ExpandVocab:
    data = Source(what="data", uri="builtin:miniature/text-ko", size=10, edition=1)
    pieces = ExpandTokenizer(tokenizer=base, corpus=(data,), settings=VocabSettings(size=8192))
    rows = InitSettings.model_validate(settings)
    return ExpandVocab(
        model=base, tokenizer=pieces, settings=rows, corpus=(data,) if settings else ()
    )


def after(model: ExpandVocab, **settings: object) -> Train:
    plain = training(model.model, **settings)
    rows = plain.rows.model_copy(update={"tokenizer": model.tokenizer})
    return plain.model_copy(update={"model": model, "rows": rows})


def test_a_larger_vocabulary_has_larger_tables_and_fewer_tokens(
    tmp_path: Path, base: Source
) -> None:
    model, budget = grown(base), {"bytes": 1_600_000}
    # 2,239 syllables, and 5,953 learned pieces between 3,671 and 7,601.
    left = tokens_left(model.tokenizer.settings)
    assert left == pytest.approx(0.399 - 0.046 * (5953 - 3671) / (7601 - 3671))
    found = cost(tmp_path, after(model, method="full", **budget))
    assert found.tokens == round(1_000_000 * left)
    # 32,000 + 8,192 rows of 4,096, a multiple of 64, in both tables.
    tables = 40_192 * 4096
    body = 6_738_149_376 - 2 * 131_072_000
    assert found.flops == 6 * (body + tables) * found.tokens
    # The grown model and the trained one.
    assert found.disk_bytes == 2 * 4 * (body + 2 * tables)
    assert found.trainings == 1

    adapter = cost(tmp_path, after(model, method="lora", rank=16, **budget))
    assert adapter.flops == (4 * body + 6 * tables + 6 * 39_976_960) * found.tokens
    assert adapter.disk_bytes == 4 * (body + 2 * tables) + 4 * (39_976_960 + 2 * tables)
    frozen = after(model, method="lora", rank=16, train_embeddings=False, **budget)
    assert cost(tmp_path, frozen).disk_bytes == 4 * (body + 2 * tables) + 4 * 39_976_960


def test_a_distillation_is_counted(tmp_path: Path, base: Source) -> None:
    model = grown(base, init="distill", text=160_000)
    found = cost(tmp_path, model)
    assert found.trainings == 1
    assert found.tokens == round(100_000 * (1 + tokens_left(model.tokenizer.settings)))
    assert found.flops == 6 * 6_738_149_376 * found.tokens
    assert found.memory_bytes is not None
    assert found.memory_bytes > 4 * 6_738_149_376
    assert cost(tmp_path, grown(base)).flops == 0


def test_what_a_tokenizer_says_once_it_is_learned(
    tmp_path: Path, base: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, store = grown(base), Store(tmp_path / "runs")
    done = Done(
        name=model.tokenizer.name, kind="tokenizer", key="", metrics={"size": 33_024}, seconds=1
    )
    monkeypatch.setattr(Store, "record", lambda _, stage: done if stage.name == done.name else None)
    found = shape_of(model.config(store))
    assert found is not None
    assert found.rows == 33_024


def test_a_pruned_vocabulary_costs_no_tokens(
    tmp_path: Path, base: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokenizer = PruneTokenizer(tokenizer=base, settings=PruneSettings(keep=("ko", "en")))
    model = PruneVocab(model=base, tokenizer=tokenizer)
    found = cost(tmp_path, model)
    assert (found.trainings, found.tokens, found.flops) == (0, 0, 0)
    assert found.disk_bytes == 4 * 6_738_149_376
    plain = training(base, method="full", bytes=1_600_000)
    rows = plain.rows.model_copy(update={"tokenizer": tokenizer})
    after = plain.model_copy(update={"model": model, "rows": rows})
    assert cost(tmp_path, after).tokens == cost(tmp_path, plain).tokens
    # Once it is pruned, its tokenizer tells the size.
    done = Done(name=tokenizer.name, kind="tokenizer", key="", metrics={"size": 27_770}, seconds=1)
    monkeypatch.setattr(Store, "record", lambda _, stage: done if stage.name == done.name else None)
    found = shape_of(model.config(Store(tmp_path / "runs")))
    assert found is not None
    assert found.rows == 27_770


def test_new_blocks_are_counted(tmp_path: Path, base: Source) -> None:
    deeper = ExpandBlocks(model=base, every=4)
    plain = training(base, method="full", bytes=1_600_000)
    found = cost(tmp_path, plain.model_copy(update={"model": deeper}))
    body = 6_738_149_376 - 2 * 131_072_000
    assert found.flops == 6 * (body // 32 * 40 + 131_072_000) * 1_000_000


def test_preferences_read_both_answers_and_the_reference(tmp_path: Path, base: Source) -> None:
    data = Source(what="data", uri="builtin:miniature/alpaca-ko", size=10, edition=1)
    settings = PreferSettings(steps=10, batch=4, max_length=100, rank=16)
    found = cost(tmp_path, Prefer(model=base, data=data, settings=settings))
    assert (found.trainings, found.tokens) == (1, 2 * 10 * 4 * 100)
    weights = 6_738_149_376 - 131_072_000
    assert found.flops == (6 * weights + 6 * 39_976_960) * 8000
    assert found.disk_bytes == 4 * 39_976_960


@pytest.mark.parametrize(
    ("size", "syllables", "left"),
    [(2239, True, 0.665), (3955, True, 0.480), (1716, False, 0.480), (99_999, False, 0.324)],
)
def test_tokens_that_are_left(size: int, syllables: bool, left: float) -> None:
    settings = VocabSettings(size=size, syllables=syllables)
    assert tokens_left(settings) == pytest.approx(left)


def test_rows_that_are_none_divide_nothing(
    tmp_path: Path, base: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = training(base, method="full", steps=10)
    nothing = {"rows": 0, "tokens": 0, "bytes": 0, "ko_bytes": 0}
    done = Done(name=stage.rows.name, kind="encode", key="", metrics=nothing, seconds=1)
    monkeypatch.setattr(Store, "record", lambda _, one: done if one.name == done.name else None)
    assert cost(tmp_path, stage).tokens == 10 * 32 * 1024


def test_the_speed_of_a_machine_is_asked_where_nothing_was_trained(
    tmp_path: Path, base: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, asked = Store(tmp_path / "runs"), list[str]()

    def speed() -> float:
        asked.append("once")
        return 1e12

    def seconds(*stages: Stage) -> float | None:
        return estimate(plan(stages, store), store, Profile(jobs=1), speed).seconds

    stage = training(base, method="full", bytes=1_600_000)
    flops = 6 * (6_738_149_376 - 131_072_000) * 1_000_000
    assert seconds(stage) == flops / 1e12
    assert asked == ["once"]
    # What nothing is trained for needs no speed; what the store has trained tells its own.
    assert seconds(base) == 0
    figures = {"flops": 3e12, "total_parameters": 7_000_000_000}
    done = Done(name="finetune-0", kind="finetune", key="", metrics=figures, seconds=1)
    monkeypatch.setattr(Store, "records", lambda _: iter([done]))
    assert seconds(stage) == flops / 3e12
    assert asked == ["once"]
