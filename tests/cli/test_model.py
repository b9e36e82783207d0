"""The commands of a model."""

from pathlib import Path

import pytest

from kollama2.cli.model import convert
from kollama2.errors import BadData, BadUsage
from kollama2.model.card import read_card
from kollama2.model.load import load_model
from tests import tiny
from tests.chat_folders import write_folder
from tests.train.test_onto import grown_base, logits, tuned


def test_an_adapter_becomes_a_whole_model_on_either_base(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pristine, larger = grown_base(tmp_path, tied=False)
    adapter = tuned(larger, tmp_path)
    known = logits(load_model(adapter, device="cpu")).log_softmax(-1)
    for name, onto in (("own", None), ("old", pristine), ("named", larger)):
        out = tmp_path / name
        convert(str(adapter), out, onto=onto and str(onto))
        assert "a whole model" in capsys.readouterr().err
        found = logits(load_model(out, device="cpu")).log_softmax(-1)
        assert (known.exp() * (known - found)).sum(-1).max() <= 1e-6
        assert read_card(out).method == "full"
        assert {"config.json", "model.safetensors", "tokenizer.json", "chat_template.jinja"} <= {
            one.name for one in out.iterdir()
        }
    with pytest.raises(BadUsage, match="is not empty"):
        convert(str(adapter), tmp_path / "own")
    other = tiny.write_model(tmp_path / "other", seed=3)
    with pytest.raises(BadData, match="name the base that its vocabulary was added to"):
        convert(str(adapter), tmp_path / "no", onto=str(other))
    assert not (tmp_path / "no").exists()
    with pytest.raises(BadUsage, match="make a whole model of it first"):
        convert(str(adapter), tmp_path / "no", to="meta")
    with pytest.raises(BadUsage, match="--onto is for adapters"):
        convert(str(larger), tmp_path / "no", onto=str(pristine))


def test_what_cannot_be_converted_is_told_as_it_is(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(BadUsage, match="nowhere: there is no such file or folder"):
        convert(str(tmp_path / "nowhere"), out)
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadUsage, match=r"holds neither config\.json nor a checkpoint of Meta's"):
        convert(str(tmp_path / "empty"), out)
    part = tmp_path / "consolidated.00.pth"
    part.write_bytes(b"")
    with pytest.raises(BadUsage, match="is a part of a checkpoint; name its folder"):
        convert(str(part), out)
    odd = tmp_path / "model.bin"
    odd.write_bytes(b"")
    for to in ("hf", "meta"):
        with pytest.raises(BadUsage, match=r"model\.bin is neither a folder nor a GGUF file"):
            convert(str(odd), out, to=to)
    folder = write_folder(tmp_path / "bytes", "llama")
    with pytest.raises(BadData, match=r"holds no tokenizer\.model, .* its own would be lost"):
        convert(str(folder), out, to="meta")
    assert not out.exists()
