"""What `adapt` ends with, and how a training shows in `status` before its first step."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from kollama2.api import adapt
from kollama2.api.compute import silent
from kollama2.api.plan import _state
from kollama2.cli.model import next_steps
from kollama2.engine.graph import closure
from kollama2.engine.profile import Profile
from kollama2.engine.stage import Stage
from kollama2.engine.store import Store
from kollama2.errors import BadData
from kollama2.llama.convert import to_meta
from kollama2.miniature.base import FOLDER
from kollama2.stages import Encode, Source
from kollama2.study.adapt import adaptation


def test_the_next_commands_fit_the_model(tmp_path: Path) -> None:
    out = tmp_path / "a model"
    shutil.copytree(FOLDER, out)
    card = json.loads((out / "kollama2.json").read_text()) if (out / "kollama2.json").is_file() \
        else {}  # fmt: skip
    (out / "kollama2.json").write_text(json.dumps({**card, "template": "kullm"}))
    assert next_steps(out) == [
        f"kollama2 chat '{out}'",
        f"kollama2 evaluate '{out}' --suite quick",
        f"kollama2 convert '{out}' --to meta -o '{out}-meta'",
    ]
    (out / "kollama2.json").write_text(json.dumps({**card, "template": "plain"}))
    (out / "tokenizer.model").unlink()
    assert next_steps(out) == [
        f"kollama2 complete '{out}' --raw \"안녕하세요\"",
        f"kollama2 evaluate '{out}' --suite quick",
    ]


@pytest.mark.parametrize(
    "said",
    [
        {"attention_bias": True},
        {"rope_scaling": {"type": "linear", "factor": 2.0}},
        {"rope_parameters": {"rope_type": "linear", "factor": 2.0, "rope_theta": 10000.0}},
    ],
)
def test_no_command_is_printed_that_would_be_refused(said: dict[str, Any], tmp_path: Path) -> None:
    out = tmp_path / "model"
    shutil.copytree(FOLDER, out)
    assert next_steps(out)[-1] == f"kollama2 convert {out} --to meta -o {out}-meta"
    config = json.loads((out / "config.json").read_text())
    config.pop("rope_parameters", None)
    (out / "config.json").write_text(json.dumps({**config, **said}))
    with pytest.raises(BadData, match=r"without biases|scales its rotary embedding"):
        to_meta(out, tmp_path / "meta")
    assert next_steps(out)[-1] == f"kollama2 evaluate {out} --suite quick"


def test_a_stage_that_someone_computes_shows_what_it_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, stage = Store(tmp_path), Source(what="model", uri="builtin:miniature")
    waiting = "waiting: 1 stage to compute"
    assert str(_state([stage], store)) == waiting
    store.partial(stage).mkdir()
    told = store.partial(stage) / "progress.json"
    told.write_text(json.dumps({"seconds": 0.1, "attempts": 1}))
    assert str(_state([stage], store)) == waiting
    monkeypatch.setattr(Store, "holder", lambda self, one: "process 7")
    assert str(_state([stage], store)) == f"{stage.name}: starting"
    told.write_text(json.dumps({"done": 0, "total": 0, "unit": "loading the model"}))
    assert str(_state([stage], store)) == f"{stage.name}: loading the model"
    told.write_text(json.dumps({"done": 1.5, "total": 3, "unit": "steps"}))
    assert str(_state([stage], store)) == f"{stage.name}: 50 %"


def test_only_rows_that_are_still_to_be_encoded_are_sampled(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = {"instruction": "수도는?", "input": "", "output": "서울"}
    (tmp_path / "rows.json").write_text(json.dumps([row] * 8, ensure_ascii=False), "utf-8")
    store, asked = Store(tmp_path / "runs"), list[Stage]()
    made = adaptation(str(tiny_model), "kullm-lora", [str(tmp_path / "rows.json")],
                      store=store.root)  # fmt: skip
    stages = closure(made).values()
    (rows,) = (one for one in stages if isinstance(one, Encode))
    monkeypatch.setattr(adapt, "compute", lambda wanted, *_: [store.path(one) for one in wanted])
    monkeypatch.setattr(adapt, "cost_of", lambda *_: None)
    monkeypatch.setattr(adapt, "cost_line", lambda _: "")
    monkeypatch.setattr(adapt, "sampled", lambda one, _: asked.append(one))
    adapt._train(made, store.root, Profile(), "adapt", silent)
    assert asked == [rows]
    for one in (*(one for one in stages if isinstance(one, Source)), rows):
        store.compute(one)
    adapt._train(made, store.root, Profile(), "adapt", silent)
    assert asked == [rows]
