"""Adapters on one base: each says what it says alone, and what does not belong there is refused."""

from collections.abc import Callable
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from kollama2.errors import BadData, BadUsage, Fault
from kollama2.model.find import NONE
from kollama2.serve.adapters import open_adapters
from kollama2.serve.model import Model
from kollama2.serve.start import Options, start
from tests.chat_folders import write_adapter, write_folder
from tests.serve.conftest import load, running, served
from tests.serve.test_engine import Heard, prompts
from tests.serve.test_engine import text as said
from tests.tiny import write_model, write_tokenizer


def two_adapters(base: Path, out: Path) -> dict[str, Path]:
    """An adapter on every matrix, and one on few with another scale."""
    few = {"r": 2, "target_modules": ["q_proj", "down_proj"], "use_rslora": True, "lora_alpha": 24}
    return {
        "all": write_adapter(base, out / "all", named=str(base)),
        "few": write_adapter(base, out / "few", named=str(base), **few),
    }


def opened(base: Path, adapters: dict[str, Path], **options: int) -> list[Model]:
    model = load(base, "base", **options)
    places = {name: str(place) for name, place in adapters.items()}
    try:
        return [model, *open_adapters(model, str(base), places, NONE, print)]
    except Fault:
        model.engine.close()
        raise


@pytest.mark.parametrize("family", ["llama", "qwen3", "gemma3_text"])
def test_rows_of_several_adapters_say_what_each_says_alone(family: str, tmp_path: Path) -> None:
    base = write_folder(tmp_path / "base", family)
    adapters = two_adapters(base, tmp_path)
    models = opened(base, adapters, queue=40)
    engine, alone = models[0].engine, dict[str, Model]()
    try:
        assert engine.batched == (family != "gemma3_text")
        asked = prompts(models[0].talker)[:4]
        jobs = [
            (one, prompt, Heard(prompt, 8 + 4 * at, temperature=0.0, adapter=one.adapter))
            for at, prompt in enumerate(asked)
            for one in models
        ]
        engine.submit([job.job for *_, job in jobs])
        places = {"base": base, **adapters}
        alone |= {name: load(place, name) for name, place in places.items()}
        texts = set()
        for model, prompt, job in jobs:
            wanted = said(alone[model.name], prompt, job.job.most)
            assert job.text() == wanted, (model.name, prompt)
            texts.add(wanted)
        assert len(texts) == len(jobs), "adapters that say the same prove nothing"
    finally:
        engine.close()
        for one in alone.values():
            one.engine.close()


def test_each_answers_under_its_name(tmp_path: Path) -> None:
    base = write_folder(tmp_path / "base")
    with (
        running(served(*opened(base, two_adapters(base, tmp_path)))) as server,
        server.client() as client,
    ):
        listed = [one["id"] for one in client.get("/v1/models").json()["data"]]
        assert listed == ["base", "all", "few"]
        answers = set()
        for name in listed:
            body = {
                "model": name, "temperature": 0, "max_tokens": 12,
                "messages": [{"role": "user", "content": "서울은 어떤 도시입니까?"}],
            }  # fmt: skip
            found = client.post("/v1/chat/completions", json=body).json()
            assert found["model"] == name
            answers.add(found["choices"][0]["message"]["content"])
        assert len(answers) == 3
        assert 'kollama2_running{model="base"} 0' in client.get("/metrics").text
        assert 'kollama2_running{model="all"}' not in client.get("/metrics").text


@pytest.mark.parametrize("named", ["", "/elsewhere/base"])
def test_an_adapter_whose_base_cannot_be_known_is_taken_with_a_word(
    named: str, tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    adapter = write_adapter(tiny_model, tmp_path / "adapter", named=named)
    model, other = opened(tiny_model, {"other": adapter})
    model.engine.close()
    assert other.name == "other"
    assert f"is an adapter of {named or 'an unnamed base'}; if " in capsys.readouterr().out


def of_other_weights(base: Path, out: Path) -> Path:
    other = write_model(out / "other", seed=9)
    return write_adapter(other, out / "adapter", named=str(other))


def with_other_tokens(base: Path, out: Path) -> Path:
    adapter = write_adapter(base, out / "adapter", named=str(base))
    write_tokenizer(adapter, 390)
    return adapter


def with_nan(base: Path, out: Path) -> Path:
    adapter = write_adapter(base, out / "adapter", named=str(base))
    weights = load_file(adapter / "adapter_model.safetensors")
    next(iter(weights.values()))[0, 0] = float("nan")
    save_file(weights, adapter / "adapter_model.safetensors", metadata={"format": "pt"})
    return adapter


def with_magnitudes(base: Path, out: Path) -> Path:
    return write_adapter(base, out / "adapter", named=str(base), use_dora=True)


@pytest.mark.parametrize(
    ("made", "why"),
    [
        (of_other_weights, "is an adapter of other weights than those of .*; name its own base"),
        (with_other_tokens, "has other tokens than its base; serve it as a model of its own"),
        (with_nan, "holds NaN"),
        (with_magnitudes, "is an adapter whose rows cannot share steps with others: .*DoRA"),
        (lambda base, out: base, "is no adapter; serve it as a model of its own"),
    ],
)
def test_what_does_not_belong_on_the_base_is_refused(
    made: Callable[[Path, Path], Path], why: str, tiny_model: Path, tmp_path: Path
) -> None:
    with pytest.raises((BadData, BadUsage), match=why) as found:
        opened(tiny_model, {"wrong": made(tiny_model, tmp_path)})
    assert "\n" not in str(found.value)


@pytest.mark.parametrize(
    ("models", "adapters", "why"),
    [
        (["a=x"], ("a=y",), "two models are called a; give one of them as NAME=MODEL"),
        (["a", "b"], ("c=y",), "--adapter is for one base; name that model, and no other"),
        ([], ("c=y",), "--adapter is for one base"),
    ],
)
def test_adapters_stand_on_one_model(
    models: list[str], adapters: tuple[str, ...], why: str
) -> None:
    with pytest.raises(BadUsage, match=why):
        start(models, Options(adapters=adapters), print)
