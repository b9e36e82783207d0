"""Every family can be talked to, and says what transformers says."""

import json
import re
import threading
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from transformers import AutoTokenizer

from kollama2.errors import BadData, BadUsage
from kollama2.llama import Llama
from kollama2.llama.generate import Generator
from kollama2.llama.talk import Talker, open_talker
from kollama2.model.adapter import quiet_peft
from kollama2.model.messages import Message
from tests.chat_folders import DATED, QWEN, write_adapter, write_folder
from tests.family_models import every

ASKED: list[Message] = [{"role": "user", "content": "The fox, 여우?"}]


def theirs(folder: Path, most: int, adapter: Path | None = None) -> list[int]:
    """The prompt and greedy answer of transformers, by its own tokenizer, template and stops."""
    name = json.loads((folder / "config.json").read_text(encoding="utf-8"))["architectures"][0]
    model: Any = getattr(transformers, name).from_pretrained(folder, dtype=torch.float32)
    if adapter is not None:
        from peft import PeftModel

        with quiet_peft():
            model = PeftModel.from_pretrained(model, adapter)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    ids = tokenizer.apply_chat_template(ASKED, add_generation_prompt=True, return_tensors="pt")
    found = model.eval().generate(**ids, max_new_tokens=most, do_sample=False, pad_token_id=0)
    return [int(one) for one in found[0]]


def ours(talker: Talker, most: int, **drawn: float) -> list[int]:
    prompt = talker.encoder.prompt(ASKED)
    return [*prompt, *talker.stream(prompt, most, **{"temperature": 0, **drawn})]


@every
def test_greedy_is_that_of_transformers(family: str, tmp_path: Path) -> None:
    folder = write_folder(tmp_path, family)
    talker = open_talker(folder)
    assert isinstance(talker, Llama if family.startswith("llama") else Generator)
    assert talker.length == 512
    expected = theirs(folder, 64)
    stop = talker.encoder.stop_ids
    found = ours(talker, 64)
    assert found == (expected[:-1] if expected[-1] in stop else expected)
    assert len(set(found[-64:])) > 2, "an answer of one token would prove little"


@pytest.fixture(scope="module")
def qwen(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("qwen"))


def test_every_stop_id_ends_an_answer(qwen: Path, tmp_path: Path) -> None:
    talker = open_talker(qwen)
    prompt = talker.encoder.prompt(ASKED)
    said = list(talker.stream(prompt, 12, temperature=0))
    assert len(said) == 12
    end = next(one for one in said[4:] if said.index(one) >= 4)
    named = write_folder(tmp_path, generation={"eos_token_id": [end, 361]})
    stopped = list(open_talker(named).stream(prompt, 12, temperature=0))
    assert stopped == said[: said.index(end)]
    assert [*prompt, *stopped, end] == theirs(named, 12)


def test_drawing_depends_on_the_seed_alone(qwen: Path, tmp_path: Path) -> None:
    def drawn(seed: int, **how: float) -> list[int]:
        return ours(open_talker(qwen, seed=seed), 12, **{"temperature": 1.0, **how})

    assert drawn(1) == drawn(1) != drawn(2)
    assert drawn(1, top_p=0.0) == ours(open_talker(qwen), 12)
    # What the folder says of drawing is the caller's to say.
    sampling = {"do_sample": True, "temperature": 0.01, "top_k": 1, "max_length": 20, "min_p": 0.9}
    other = open_talker(write_folder(tmp_path, generation=sampling), seed=1)
    assert ours(other, 12, temperature=1.0) == drawn(1)
    assert ours(open_talker(tmp_path), 12) == ours(open_talker(qwen), 12)


@pytest.mark.parametrize("family", ["qwen2", "llama"])
def test_rules_of_the_folder_hold(family: str, tmp_path: Path) -> None:
    free = open_talker(write_folder(tmp_path / "free", family))
    ruled = write_folder(tmp_path / "ruled", family, generation={"repetition_penalty": 1.9})
    talker = open_talker(ruled)
    assert isinstance(talker, Generator)
    assert ours(talker, 24) == theirs(ruled, 24) != ours(free, 24)


@pytest.mark.parametrize("family", ["qwen3", "gpt_neox", "lfm2"])
def test_an_adapter_made_elsewhere(family: str, tmp_path: Path) -> None:
    base = write_folder(tmp_path / "base", family)
    adapter = write_adapter(base, tmp_path / "adapter", target_modules="all-linear")
    expected = theirs(base, 16, adapter)
    assert ours(open_talker(adapter), 16) == expected != ours(open_talker(base), 16)
    # The base by a hub's name, which a mirror or --onto leads to.
    unnamed = write_adapter(base, tmp_path / "unnamed", named="owner/base")
    for options in (
        {"onto": base},
        {"mirrors": {"hf:owner/base": base}},
        {"onto": "hf:other/base", "mirrors": {"hf:other/base": base}},
    ):
        assert ours(open_talker(unnamed, **options), 16) == expected
    with pytest.raises(BadUsage, match="--onto is for adapters"):
        open_talker(base, onto=base)
    with pytest.raises(BadUsage, match="there is no such folder"):
        open_talker(adapter, onto=tmp_path / "nowhere")


def test_a_window_wider_than_the_context_is_no_reason_to_refuse(tmp_path: Path) -> None:
    folder = write_folder(tmp_path, "mistral-wide")
    assert open_talker(folder, context=100).length == 100
    with pytest.raises(BadUsage, match="a context of 513 tokens, but the model was made for 512"):
        open_talker(folder, context=513)


def test_lengths(qwen: Path) -> None:
    talker = open_talker(qwen, context=40)
    assert len(list(talker.stream([5] * 30, 100, temperature=0))) == 10
    assert len(list(talker.stream([5] * 30, temperature=0))) == 10
    assert list(talker.stream([5] * 40, 3, temperature=0)) == []
    with pytest.raises(BadUsage, match="41 tokens and the context 40; shorten it"):
        list(talker.stream([5] * 41, 3))
    with pytest.raises(BadUsage, match="0 tokens and the context 40; say something"):
        list(talker.stream([], 3))


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({"repetition_penalty": -1.0}, "repetition_penalty in generation_config.json is -1.0: "),
        ({"no_repeat_ngram_size": "x"}, "no_repeat_ngram_size in generation_config.json is 'x': "),
        ({"bad_words_ids": "x"}, "bad_words_ids in generation_config.json is 'x': "),
        ({"max_new_tokens": -3}, "cannot be loaded: `max_new_tokens` must be greater than 0"),
    ],
)
def test_a_generation_configuration_that_cannot_be(
    tmp_path: Path, said: dict[str, Any], told: str
) -> None:
    folder = write_folder(tmp_path)
    (folder / "generation_config.json").write_text(json.dumps(said), encoding="utf-8")
    with pytest.raises(BadData, match=re.escape(told)):
        open_talker(folder)


def test_who_stops_listening_ends_the_generation(qwen: Path) -> None:
    talker = open_talker(qwen)
    answer = talker.stream([5, 6, 7], 400, temperature=0)
    assert [next(answer), next(answer)]
    [working] = (thread for thread in threading.enumerate() if thread.name == "generate")
    answer.close()  # type: ignore[attr-defined]
    assert not working.is_alive()


def test_what_goes_wrong_inside_is_not_lost(qwen: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    talker = open_talker(qwen)
    assert isinstance(talker, Generator)
    monkeypatch.setattr(talker.model, "generate", lambda **_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        list(talker.stream([5, 6, 7], 4))


def test_a_template_that_writes_a_date_gets_todays(tmp_path: Path) -> None:
    talker = open_talker(write_folder(tmp_path, template=DATED, control=QWEN))
    ids = talker.encoder.prompt(ASKED)
    assert talker.encoder.tokenizer.decode(ids).startswith(f"system\nToday is {date.today()}\n")
    assert ids == theirs(tmp_path, 1)[: len(ids)]
