"""Which files are read as weights, and that their numbers are some."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from kollama2.errors import BadData
from kollama2.model.files import INDEX, weight_files
from kollama2.model.load import load_model
from kollama2.model.stored import finite, opened
from tests.jsons import change

IDS = torch.tensor([[1, 17, 300, 44]])
PART = "part-1.safetensors"


class Evil:
    """What a pickle may do that is loaded without care."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return (os.mkdir, (str(self.mark),))


def in_parts(folder: Path, second: str = PART) -> Path:
    """The weights of a folder in two files; the index gives the second one another name."""
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    names = sorted(tensors)
    for number in (0, 1):
        part = {name: tensors[name] for name in names[number::2]}
        save_file(part, folder / f"part-{number}.safetensors", metadata={"format": "pt"})
    where = dict.fromkeys(names[::2], "part-0.safetensors") | dict.fromkeys(names[1::2], second)
    (folder / INDEX).write_text(json.dumps({"metadata": {}, "weight_map": where}))
    return folder


def logits(folder: Path) -> torch.Tensor:
    with torch.inference_mode():
        found: torch.Tensor = load_model(folder, device="cpu")(input_ids=IDS).logits
    return found


def test_parts_are_read_as_one(tiny_model: Path, copied: Path) -> None:
    assert torch.equal(logits(in_parts(copied)), logits(tiny_model))


def test_a_pickle_in_an_index_is_never_executed(copied: Path, tmp_path: Path) -> None:
    folder = in_parts(copied, second="part-1.bin")
    torch.save({"x": Evil(tmp_path / "executed")}, folder / "part-1.bin")
    with pytest.raises(BadData, match=r"names part-1\.bin, and only \.safetensors beside it"):
        load_model(folder, device="cpu")
    assert not (tmp_path / "executed").exists()


def test_a_pickle_in_the_configuration_is_never_executed(copied: Path, tmp_path: Path) -> None:
    change(copied / "config.json", transformers_weights="adapter_model.bin")
    torch.save({"x": Evil(tmp_path / "executed")}, copied / "adapter_model.bin")
    with pytest.raises(BadData, match=r"config\.json names adapter_model\.bin, and only"):
        load_model(copied, device="cpu")
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize("name", ["../other.safetensors", "/other.safetensors", "a/b.safetensors"])
def test_a_file_outside_is_refused(name: str, copied: Path, tmp_path: Path) -> None:
    folder = in_parts(copied, second=name)
    (folder / PART).rename(tmp_path / "other.safetensors")
    with pytest.raises(BadData, match=r"and only \.safetensors beside it are ever read"):
        load_model(folder, device="cpu")


def test_links_of_a_hub_cache_are_followed(copied: Path, tiny_model: Path, tmp_path: Path) -> None:
    blobs, snapshot = tmp_path / "blobs", tmp_path / "snapshot"
    blobs.mkdir()
    snapshot.mkdir()
    for number, path in enumerate(sorted(in_parts(copied).iterdir())):
        path.rename(blobs / str(number))
        (snapshot / path.name).symlink_to(Path("..") / "blobs" / str(number))
    assert torch.equal(logits(snapshot), logits(tiny_model))


def test_the_files_are_those_that_transformers_loads(copied: Path) -> None:
    save_file({"x": torch.ones(1)}, copied / "consolidated.safetensors")
    assert [path.name for path in weight_files(copied)] == ["model.safetensors"]
    in_parts(copied)
    assert [path.name for path in weight_files(copied)] == ["part-0.safetensors", PART]


@pytest.mark.parametrize(
    "name", ["other.json", "../model.safetensors.index.json", "part/model.safetensors.index.json"]
)
def test_an_index_is_one_of_safetensors_beside_the_configuration(name: str, copied: Path) -> None:
    folder = in_parts(copied)
    for place in (folder.parent, folder / "part"):
        place.mkdir(exist_ok=True)
        (place / INDEX).write_bytes((folder / INDEX).read_bytes())
    (folder / "other.json").write_bytes((folder / INDEX).read_bytes())
    change(folder / "config.json", transformers_weights=name)
    with pytest.raises(BadData, match=rf"config\.json names {name}, and only \.safetensors beside"):
        weight_files(folder)


def test_an_index_of_another_name_is_read(copied: Path, tiny_model: Path) -> None:
    folder = in_parts(copied)
    (folder / INDEX).rename(folder / "other.safetensors.index.json")
    change(folder / "config.json", transformers_weights="other.safetensors.index.json")
    assert torch.equal(logits(folder), logits(tiny_model))
    (folder / "other.safetensors.index.json").write_text("{}")
    with pytest.raises(BadData, match="weight_map is None, and it is needed"):
        weight_files(folder)


@pytest.mark.parametrize("wrong", [float("nan"), float("inf")])
def test_a_tensor_that_is_no_number_is_refused(wrong: float, tmp_path: Path) -> None:
    file = tmp_path / "model.safetensors"
    tensors = {"a.weight": torch.tensor([1.0, wrong]), "mask": torch.tensor(-float("inf"))}
    save_file(tensors, file)
    with opened(tmp_path) as files:
        assert files["mask"].get("mask") == -float("inf")
        with pytest.raises(BadData, match=r"a\.weight holds NaN or infinities"):
            files["a.weight"].get("a.weight")


def test_a_tensor_that_two_files_hold(copied: Path) -> None:
    folder = in_parts(copied)
    first = load_file(folder / "part-0.safetensors")
    name, weight = next(iter(load_file(folder / PART).items()))
    save_file({**first, name: weight}, folder / "part-0.safetensors", metadata={"format": "pt"})
    with opened(folder) as files:
        assert torch.equal(files[name].get(name), weight)
    for other in (weight * 2, weight.double(), weight[:1]):
        save_file({**first, name: other.contiguous()}, folder / "part-0.safetensors")
        said = f"^{folder / PART} holds another {name} than part-0.safetensors; only one"
        with pytest.raises(BadData, match=said), opened(folder):
            pass


def test_whole_and_packed_numbers_hold_no_nan() -> None:
    assert not finite(torch.tensor([1.0, float("nan")], dtype=torch.bfloat16))
    assert not finite(torch.tensor([float("-inf"), 1.0], dtype=torch.float16))
    assert finite(torch.tensor([1.0, 2.0]))
    assert finite(torch.empty(0))
    assert finite(torch.tensor([255, 0], dtype=torch.uint8))
    assert finite(torch.tensor([1.0, 2.0]).to(torch.float8_e4m3fn))
