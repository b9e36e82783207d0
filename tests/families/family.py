"""One family under test: its folder, what is trained from it, and how transformers reads both."""

import contextlib
import io
from collections.abc import Sequence
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import AutoConfig, AutoTokenizer

from kollama2.data.encode import encode
from kollama2.engine.profile import Resources
from kollama2.miniature import corpora
from kollama2.model.adapter import quiet_peft
from kollama2.model.chat import ChatEncoder
from kollama2.model.folder import ModelFolder
from kollama2.model.messages import Message
from kollama2.train.loop import train
from kollama2.train.settings import TrainSettings
from tests.family_tokenizers import FORMS, Form, lines, write_family

KOREAN = [line for line in lines() if not line.isascii()]
ENGLISH = [line for line in lines() if line.isascii()]
CHAT: list[Message] = [
    {"role": "user", "content": "한국의 수도는 어디입니까?"},
    {"role": "assistant", "content": "서울입니다. 😀"},
]
RATES = {"full": 2e-3, "lora": 5e-3, "qlora": 5e-3}
STEEP = {"Granite": 10}  # adapters: it divides its logits by eight, adds a fifth of each layer
STEPS = 6


class Family:
    """A family's folder, made when it is first asked for, and models trained from it."""

    def __init__(self, name: str, place: Path) -> None:
        self.name, self.place = name, place
        self.form: Form = FORMS[name]

    @cached_property
    def base(self) -> Path:
        return write_family(self.name, self.place / "base")

    @property
    def addressed(self) -> Path:
        """A folder whose template gives training's ids in transformers: the base, but for two.

        polyglot-ko has none, and transformers reads Llama 2's text with other ids than Meta's.
        """
        written = self.form.template is None or self.name == "Llama 2"
        return self.trained("full") if written else self.base

    @cached_property
    def rows(self) -> Path:
        """Korean instructions, encoded by the family's own template."""
        made = corpora.write("alpaca-ko", self.place / "data", size=24)
        out = self.place / "rows"
        encode(self.place / "data" / made["file"], self.base, out, template="own", max_length=256)
        return out

    def settings(self, method: str) -> TrainSettings:
        rate = RATES[method] * (1 if method == "full" else STEEP.get(self.name, 1))
        shape = {"steps": STEPS, "batch": 4, "max_length": 256, "warmup": 0.0}
        given = {} if method == "full" else {"rank": 4, "alpha": 8}
        return TrainSettings.model_validate({"method": method, "lr": rate, **shape, **given})

    def trained(self, method: str) -> Path:
        """The model of a training without interruption."""
        out = self.place / method
        if not (out / "model").exists():
            self.train(method, out)
        return out / "model"

    def train(self, method: str, out: Path) -> None:
        with quiet():
            train(
                self.settings(method),
                model=self.base,
                rows=self.rows,
                out=out,
                scratch=out / "scratch",
                resources=Resources(device="cpu", checkpoint_seconds=1e-9),
                progress=lambda *_, **__: None,
            )


def encoder(folder: Path) -> ChatEncoder:
    """A folder's own encoder, on this day; of running text where it was taught no chats."""
    return ModelFolder.read(folder).encoder(otherwise="plain").on(date.today())


def handed_over(folder: Path) -> list[int]:
    """The ids of a chat in training, which must be those of transformers."""
    ids = encoder(folder).encode(CHAT).ids
    applied = plain_tokenizer(folder).apply_chat_template(
        [dict(m) for m in CHAT], return_dict=False
    )
    assert ids == applied
    return ids


def plain_tokenizer(folder: Path) -> Any:
    """What any program that uses transformers reads."""
    return AutoTokenizer.from_pretrained(folder, local_files_only=True)


def plain_model(folder: Path) -> Any:
    """The class that the folder names, in float32."""
    config = AutoConfig.from_pretrained(folder, local_files_only=True)
    named = getattr(transformers, config.architectures[0])
    with quiet():
        return named.from_pretrained(folder, dtype=torch.float32, local_files_only=True).eval()


def plain_adapter(base: Path, adapter: Path) -> Any:
    """An adapter on its base, as peft alone loads it."""
    from peft import PeftModel

    with quiet_peft():
        return PeftModel.from_pretrained(plain_model(base), adapter).eval()


def logits(model: Any, ids: Sequence[int]) -> torch.Tensor:
    """[tokens, vocabulary], in float32."""
    with torch.inference_mode():
        found: torch.Tensor = model(input_ids=torch.tensor([list(ids)]), use_cache=False).logits
    return found[0].float()


def far(one: torch.Tensor, other: torch.Tensor) -> float:
    """The largest difference of two logits, over the largest logit."""
    size = min(one.shape[-1], other.shape[-1])
    one, other = one[..., :size], other[..., :size]
    return float((one - other).abs().max() / one.abs().max())


def quiet() -> contextlib.AbstractContextManager[Any]:
    """Without what transformers tells of its progress."""
    return contextlib.redirect_stderr(io.StringIO())
