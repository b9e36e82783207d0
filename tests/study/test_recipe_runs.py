"""Every named recipe, planned at full size and trained at the size of the miniature."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from kollama2.data.read import read as read_data
from kollama2.engine.graph import inline, plan, run
from kollama2.engine.stage import Stage
from kollama2.engine.store import Store
from kollama2.errors import BadUsage
from kollama2.miniature import corpora
from kollama2.model.card import read_card
from kollama2.model.load import load_model
from kollama2.stages import Encode, Merge, Order, Prefer, Source, Train
from kollama2.study import recipes
from kollama2.study.adapt import adaptation

NAMES = recipes.names()
FAST = {"kullm-lora", "kullm-qlora", "koalpaca-full", "vicuna-ko", "cscl", "chat-vector"}
TRAINED = [pytest.param(name, marks=() if name in FAST else pytest.mark.slow) for name in NAMES]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Path:
    """The tiny model with as many positions as the miniature's base has."""
    folder = tmp_path_factory.mktemp("base") / "model"
    shutil.copytree(tiny_model, folder)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    config["max_position_embeddings"] = 1024
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return folder


def small_sources(name: str, folder: Path) -> list[str]:
    """The sources of the recipe's twin, cut to a few rows, as `--data NAME=FILE`."""
    given = []
    for source, spec in recipes.load(name).miniature.sources.items():
        if not spec.uri.startswith("builtin:miniature/"):
            continue  # a model, or made of another source
        corpus = spec.uri.removeprefix("builtin:miniature/")
        made = corpora.write(corpus, folder / source, seed=spec.seed, size=40)
        file = folder / source / made["file"]
        assert sum(1 for _ in read_data(file)) >= 40
        given.append(f"{source}={file}")
    return given


def shortened(stage: Any) -> Any:
    """The same stages with three steps for each training: every setting is acted on."""
    changes: dict[str, Any] = {}
    for field in ("model", "base"):
        if isinstance(getattr(stage, field, None), Stage) and not isinstance(stage, Source):
            changes[field] = shortened(getattr(stage, field))
    if isinstance(stage, Merge):
        changes["others"] = tuple(map(shortened, stage.others))
    if isinstance(stage, Prefer):
        changes["settings"] = stage.settings.model_copy(update={"steps": 2, "batch": 4})
    if isinstance(stage, Train):
        budget = {"bytes": None, "korean_bytes": None, "epochs": None, "steps": 3}
        changes["settings"] = stage.settings.model_copy(update={**budget, "batch": 4})
        changes["rows"] = with_tokenizer(stage.rows, changes["model"])
        if stage.calibration is not None:
            changes["calibration"] = with_tokenizer(stage.calibration, changes["model"])
    return stage.model_copy(update=changes) if changes else stage


def with_tokenizer(rows: Any, model: Any) -> Any:
    if isinstance(rows, Order):
        encoded = tuple(with_tokenizer(one, model) for one in rows.rows)
        return rows.model_copy(update={"rows": encoded, "bytes": 20_000})
    return rows.model_copy(update={"tokenizer": model.tokenizer_stage})


@pytest.mark.parametrize("name", TRAINED)
def test_a_recipe_trains_at_the_size_of_the_miniature(
    name: str, tmp_path: Path, base: Path
) -> None:
    data = small_sources(name, tmp_path / "data")
    if name == "elchat":
        data.append(f"chat={base}")
    made = adaptation(str(base), name, data, store=tmp_path / "runs", small=True)
    stage = shortened(made)
    store = Store(tmp_path / "runs")
    outcome = run([stage], store, inline(store))
    assert outcome.failed == {}
    folder = store.path(stage)
    if isinstance(stage, Train):
        lines = (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
        assert [json.loads(line)["step"] for line in lines] == [1, 2, 3]
        adapter = folder / "model" / "adapter_config.json"
        assert adapter.exists() == (stage.settings.method != "full")
    assert read_card(folder / "model").template in (recipes.load(name).template, "plain", "llama2")
    load_model(folder / "model")


@pytest.mark.parametrize("name", NAMES)
def test_a_recipe_is_planned_at_full_size(name: str, tmp_path: Path, base: Path) -> None:
    recipe = recipes.load(name)
    mirrors = {recipe.base.uri: base}
    for source, spec in recipe.sources.items():
        small = recipe.miniature.sources.get(source)
        if small is None or small.uri == "builtin:miniature":
            mirrors[spec.uri] = base
        elif small.uri.startswith("builtin:"):
            corpus = small.uri.removeprefix("builtin:miniature/")
            made_of = corpora.write(corpus, tmp_path / "data" / source, size=5)
            mirrors[spec.uri] = tmp_path / "data" / source / made_of["file"]
    lines = "".join(f"{uri}: {place}\n" for uri, place in mirrors.items())
    (tmp_path / "mirrors.yaml").write_text(lines, encoding="utf-8")
    made = adaptation(
        recipe.base.uri, name, [], store=tmp_path / "runs", mirrors=tmp_path / "mirrors.yaml"
    )
    planned = plan([made], Store(tmp_path / "runs"))
    assert planned.todo[-1] == made
    assert recipe.base.uri in [one.uri for one in planned.stages if isinstance(one, Source)]
    last, step = made, recipe.steps[-1]
    fields = ("method", "weight", "rates")
    if isinstance(last, Train | Prefer):
        fields = ("method", "lr", "batch", "max_length", "schedule")
    settings = last.settings.model_dump(mode="json")  # type: ignore[union-attr]
    for key in fields:
        assert settings[key] == step.get(key, settings[key]), key


def test_columns_of_other_names_are_learned_from(tmp_path: Path, base: Path) -> None:
    line = json.dumps({"ask": "수도는?", "reply": "서울입니다."}, ensure_ascii=False) + "\n"
    (tmp_path / "a.jsonl").write_text(line * 2, encoding="utf-8")
    columns = {"instruction": "ask", "output": "reply"}
    data, store = [str(tmp_path / "a.jsonl")], tmp_path / "runs"
    made = adaptation(str(base), "kullm-lora", data, columns=columns, store=store, small=True)
    (rows,) = [one for one in plan([made], Store(store)).todo if isinstance(one, Encode)]
    outcome = run([rows], Store(store), inline(Store(store)))
    assert outcome.failed == {}
    written = json.loads((Store(store).path(rows) / "encoding.json").read_text(encoding="utf-8"))
    assert written["counts"]["kept"] == 1
    assert written["counts"]["duplicates"] == 1
    with pytest.raises(BadUsage, match="there are 2; give one file"):
        adaptation(str(base), "kullm-lora", data * 2, columns=columns, store=store, small=True)
    with pytest.raises(BadUsage, match="columns name reply, which is no form"):
        adaptation(str(base), "kullm-lora", data, columns={"reply": "a"}, store=store, small=True)
