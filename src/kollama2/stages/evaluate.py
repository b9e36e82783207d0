"""Evaluate: one model on one suite, with per-item records."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from kollama2.engine.stage import Stage, Work
from kollama2.evaluation.suite import Suite
from kollama2.stages.folders import model_folder
from kollama2.stages.source import Source, contents

if TYPE_CHECKING:
    from kollama2.data.chat import ChatEncoder
    from kollama2.data.forms import Message
    from kollama2.data.tokenizer import Tokenizer
    from kollama2.stages.models import Model


class Evaluate(Stage):
    """The scores of a model on a suite.

    Attributes:
        model: the model.
        suite: tasks, prompts and measures; its `data` are uris.
        data: the source of each uri of the suite.
        template: how the model is addressed; its own template, or the study's for a base.
    """

    kind: Literal["evaluate"] = "evaluate"
    model: "Model"
    suite: Suite
    data: dict[str, Source]
    template: str = "llama2"

    version: ClassVar[int] = 2
    preload: ClassVar[tuple[str, ...]] = ("kollama2.train.loop", "kollama2.evaluation.evaluate")

    def run(self, work: Work) -> Mapping[str, Any]:
        """Load the model as it was trained (adapter, 4-bit) and score every task."""
        from kollama2.data.chat import ChatEncoder
        from kollama2.data.tokenizer import load_tokenizer
        from kollama2.evaluation.evaluate import evaluate
        from kollama2.train.load import load_model

        folder = model_folder(work, self.model)
        tokenizer = load_tokenizer(folder)
        places = contents(work, self.data)
        return evaluate(
            self.suite.resolved(places.__getitem__),
            model=load_model(folder, device=work.resources.device),
            encoder=ModelEncoder(tokenizer, ChatEncoder(tokenizer, self.template)),
            out=work.out,
            resources=work.resources,
            progress=work.progress,
            tokenizer=lambda: transformers_tokenizer(folder, work.scratch),
        )


def transformers_tokenizer(folder: Path, scratch: Path) -> Any:
    """The tokenizer of a model folder as transformers reads it, with the ids the model was taught.

    Args:
        folder: the model.
        scratch: where a `tokenizer.json` is made from a bare `tokenizer.model`, which
            transformers' own conversion would read with other ids in rare cases.
    """
    from transformers import AutoTokenizer

    from kollama2.train.save import TOKENIZER_FILES
    from kollama2.vocab.fast import write_fast

    if not (folder / "tokenizer.json").exists() and (folder / "tokenizer.model").exists():
        own = scratch / "tokenizer"
        own.mkdir(parents=True, exist_ok=True)
        for name in (*TOKENIZER_FILES, "config.json"):
            if (folder / name).exists():
                shutil.copy(folder / name, own / name)
        write_fast(own)
        folder = own
    return AutoTokenizer.from_pretrained(folder, local_files_only=True)


@dataclass(frozen=True)
class ModelEncoder:
    """A model's tokenizer and chat template, in the form that the evaluation asks for."""

    tokenizer: "Tokenizer"
    chat: "ChatEncoder"

    @property
    def bos_id(self) -> int | None:
        """The id that every sequence begins with."""
        return self.tokenizer.bos_id

    @property
    def stop_ids(self) -> tuple[int, ...]:
        """Ids that end an answer."""
        return self.chat.stop_ids

    def encode(self, text: str) -> list[int]:
        """Ids of a text's content."""
        return self.tokenizer.encode(text)

    def decode(self, ids: Sequence[int]) -> str:
        """The text of ids."""
        return self.tokenizer.decode(ids)

    def answer(self, text: str) -> list[int]:
        """Ids of an answer as the template puts it after a prompt, without what ends it."""
        before, _, _ = self.chat.template.answer.partition("{content}")
        return self.tokenizer.encode_batch([before + text], [True])[0]

    def prompt(self, messages: Sequence["Message"]) -> list[int]:
        """Ids of a chat up to where the answer begins."""
        return self.chat.prompt(messages)
