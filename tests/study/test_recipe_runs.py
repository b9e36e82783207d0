"""Every named recipe, planned at full size and trained at the size of the miniature."""

import json
import shutil
from pathlib import Path

import pytest

from kollama2.data.read import read as read_data
from kollama2.engine.graph import inline, plan, run
from kollama2.engine.store import Store
from kollama2.miniature import corpora
from kollama2.study import recipes
from kollama2.study.adapt import adaptation
from kollama2.train.load import card

NAMES = recipes.names()


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
        corpus = spec.uri.removeprefix("builtin:miniature/")
        made = corpora.write(corpus, folder / source, seed=spec.seed, size=40)
        file = folder / source / made["file"]
        assert sum(1 for _ in read_data(file)) >= 40
        given.append(f"{source}={file}")
    return given


@pytest.mark.parametrize("name", NAMES)
def test_a_recipe_trains_at_the_size_of_the_miniature(
    name: str, tmp_path: Path, base: Path
) -> None:
    data = small_sources(name, tmp_path / "data")
    made = adaptation(str(base), name, data, store=tmp_path / "runs", small=True)
    stage = made.stage
    # A few steps show that every setting of the recipe is accepted and acted on.
    budget = {"bytes": None, "korean_bytes": None, "epochs": None, "steps": 3}
    short = stage.settings.model_copy(update={**budget, "batch": 4})
    stage = stage.model_copy(update={"settings": short})
    store = Store(tmp_path / "runs")
    outcome = run([stage], store, inline(store))
    assert outcome.failed == {}
    folder = store.path(stage)
    lines = (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["step"] for line in lines] == [1, 2, 3]
    assert (folder / "model" / "adapter_config.json").exists() == (short.method != "full")
    assert card(folder / "model")["template"] == made.template


@pytest.mark.parametrize("name", NAMES)
def test_a_recipe_is_planned_at_full_size(name: str, tmp_path: Path, base: Path) -> None:
    recipe = recipes.load(name)
    mirrors = {recipe.base.uri: base}
    for source, spec in recipe.miniature.sources.items():
        corpus = spec.uri.removeprefix("builtin:miniature/")
        made = corpora.write(corpus, tmp_path / "data" / source, size=5)
        mirrors[recipe.sources[source].uri] = tmp_path / "data" / source / made["file"]
    lines = "".join(f"{uri}: {place}\n" for uri, place in mirrors.items())
    (tmp_path / "mirrors.yaml").write_text(lines, encoding="utf-8")
    made = adaptation(
        recipe.base.uri, name, [], store=tmp_path / "runs", mirrors=tmp_path / "mirrors.yaml"
    )
    planned = plan([made.stage], Store(tmp_path / "runs"))
    assert planned.todo[-1] == made.stage
    assert made.base.uri == recipe.base.uri
    step = recipe.steps[-1]
    settings = made.stage.settings.model_dump(mode="json")
    for key in ("method", "lr", "batch", "max_length", "schedule", "warmup", "epochs"):
        assert settings[key] == step[key], key
