"""The command that takes a model away."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from kollama2.api.study import report
from kollama2.cli.app import app
from kollama2.cli.study import show_result, take_away
from kollama2.errors import BadUsage, Denied
from tests.reporting import fake


def call(*given: str) -> str:
    done = CliRunner().invoke(app, ["export", *given], standalone_mode=False)
    if done.exception is not None:
        raise done.exception
    return done.output


def test_it_ends_with_what_to_do_next(tiny_model: Path, tmp_path: Path) -> None:
    said = call(str(tiny_model), "-o", str(tmp_path / "hf"))
    assert f"vllm serve {tmp_path / 'hf'}" in said
    said = call(str(tiny_model), "-o", str(tmp_path / "file"), "--to", "gguf", "--type", "F32")
    name = tiny_model.name
    assert f"llama-server -m {tmp_path / 'file' / f'{name}-F32.gguf'}" in said
    assert f"{name}-F32.gguf: 21 tensors and the ids of 1,999 lines are the model's own" in said
    said = call(str(tiny_model), "-o", str(tmp_path / "ollama"), "--to", "ollama", "--json")
    (tree,) = [said[said.index("{") :]]
    assert json.loads(tree)["tensors"] == 21
    assert {one.name for one in (tmp_path / "ollama").iterdir()} == {
        f"{name}-F16.gguf", "Modelfile", "README.md", "MANIFEST.json",
    }  # fmt: skip
    said = call(str(tiny_model), "-o", str(tmp_path / "meta"), "--to", "meta")
    assert (tmp_path / "meta" / "consolidated.00.pth").is_file()


def test_options_that_cannot_be(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(BadUsage, match="--licence is 'mit'; give URI=LICENCE"):
        call(str(tiny_model), "-o", str(tmp_path / "x"), "--licence", "mit")
    with pytest.raises(BadUsage, match="push is 'mine'; a repository of the hub is OWNER/NAME"):
        call(str(tiny_model), "-o", str(tmp_path / "x"), "--push", "mine")
    monkeypatch.setattr("huggingface_hub.get_token", lambda: None)
    with pytest.raises(Denied, match="there is no token for the hub: set HF_TOKEN"):
        call("nothing", "-o", str(tmp_path / "x"), "--push", "me/model")
    assert list(tmp_path.iterdir()) == []


def test_a_study_ends_with_the_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    few = tuple(fake.RECIPES[i] for i in (0, 5))
    fake.write(tmp_path / "none", recipes=few)
    show_result(report("quick", store=tmp_path / "none"), tmp_path / "none", as_json=False)
    assert "kollama2 export" not in capsys.readouterr().err
    monkeypatch.setattr("kollama2.reporting.recommend.KOREAN", 0.5)
    monkeypatch.setattr("kollama2.reporting.table.ENGLISH_LIMIT", 50.0)
    fake.write(tmp_path / "store", recipes=fake.RECIPES[:3])
    show_result(report("quick", store=tmp_path / "store"), tmp_path / "store", as_json=False)
    wanted = f"kollama2 export quick:alpaca-full --store {tmp_path / 'store'} -o quick-alpaca-full"
    assert capsys.readouterr().err.endswith(f"{wanted}\n")
    assert take_away("a", "b c", Path("runs")) == "kollama2 export 'a:b c' -o 'a-b c'"
