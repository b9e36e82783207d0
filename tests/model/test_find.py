"""From a name to a model, and to what an adapter stands on."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from kollama2.engine.hub import load_mirrors
from kollama2.errors import BadData, BadUsage, Missing
from kollama2.miniature import base
from kollama2.model.find import find_folder, find_model
from tests.engine.hub_server import serving
from tests.engine.test_hub import environment

ADAPTER = {
    "adapter_config.json": b'{"base_model_name_or_path": "owner/base", "peft_type": "LORA"}',
    "adapter_model.safetensors": b"weights",
}
BASE = {"config.json": b'{"model_type": "qwen2"}', "model.safetensors": b"weights"}

# In a process of its own, because the library reads its settings once.
CALLS = """
import json, sys
from pathlib import Path
from kollama2.model.find import find_model
from kollama2.study.evaluation import Wanted, evaluations
found = find_model("hf:owner/adapter")
names = ["hf:owner/adapter", "hf:owner/base"]
stages = evaluations(names, Wanted("quick"), store=Path(sys.argv[1]))
print(json.dumps({
    "files": sorted(file.name for file in found.path.iterdir()),
    "base": sorted(file.name for file in found.base.path.iterdir()),
    "onto": [one.onto and one.onto.uri for one in stages.values()],
    "templates": [one.template for one in stages.values()],
}))
"""


def write(folder: Path, files: dict[str, bytes]) -> Path:
    folder.mkdir()
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


def test_names(tmp_path: Path) -> None:
    assert find_folder("builtin:miniature") == base.FOLDER
    assert find_folder("file:some/where") == find_folder("some/where") == Path("some/where")
    (tmp_path / "mirrors.yaml").write_text("hf:a/b: copy\nhf:a/c: none\n", encoding="utf-8")
    mirrors = load_mirrors(tmp_path / "mirrors.yaml")
    (tmp_path / "copy").mkdir()
    assert find_folder("hf:a/b", mirrors) == tmp_path / "copy"
    with pytest.raises(BadUsage, match=r"hf:a/c: nothing lies at .*none; correct the mirrors file"):
        find_folder("hf:a/c", mirrors)
    with pytest.raises(Missing, match=r"--mirrors FILE with a line 'hf:a/d: path/to/copy'"):
        find_folder("hf:a/d", mirrors)


def test_a_mirrors_file_that_is_none(tmp_path: Path) -> None:
    path = tmp_path / "mirrors.yaml"
    with pytest.raises(BadUsage, match=r"mirrors\.yaml: no such file"):
        load_mirrors(path)
    path.write_text("- hf:a/b\n", encoding="utf-8")
    with pytest.raises(BadUsage, match="expected a mapping of keys at the top, found a list"):
        load_mirrors(path)
    path.write_text("hf:a/b: x\nhf:c/d: [x]\n", encoding="utf-8")
    with pytest.raises(BadUsage, match="yaml:2: expected lines such as 'hf:owner/name: path/to"):
        load_mirrors(path)
    path.write_text("hf:a/b: $NOWHERE_SET/x\n", encoding="utf-8")
    with pytest.raises(BadUsage, match="hf:a/b: the environment variable NOWHERE_SET is not set"):
        load_mirrors(path)
    assert load_mirrors(None) == {}


def test_what_an_adapter_stands_on(tmp_path: Path) -> None:
    adapter = write(tmp_path / "adapter", ADAPTER)
    whole = write(tmp_path / "base", BASE)
    found = find_model(adapter, mirrors={"hf:owner/base": whole})
    assert found.base is not None
    assert found.base.path == whole
    # A folder that is named stands before the hub; relative to here or to the adapter.
    config = {"base_model_name_or_path": "../base", "peft_type": "LORA"}
    (adapter / "adapter_config.json").write_text(json.dumps(config), encoding="utf-8")
    found = find_model(adapter)
    assert found.base is not None
    assert found.base.path == whole
    config["base_model_name_or_path"] = "/of/somebody/else's"
    (adapter / "adapter_config.json").write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(BadData, match="which is not on this machine; name its base with --onto"):
        find_model(adapter)
    assert find_model(adapter, onto=whole).root.path == whole


def test_an_adapter_and_its_base_from_the_hub(tmp_path: Path) -> None:
    repositories = {"models/owner/adapter": ADAPTER, "models/owner/base": BASE}
    with serving(repositories) as hub:
        place = environment(f"http://127.0.0.1:{hub.server_address[1]}", tmp_path / "home")
        done = subprocess.run(
            [sys.executable, "-c", CALLS, str(tmp_path / "store")],
            env=place, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "files": sorted(ADAPTER),
        "base": sorted(BASE),
        "onto": ["hf:owner/base", None],
        "templates": ["own", "own"],
    }
