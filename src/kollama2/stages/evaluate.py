"""Evaluate: one model on one suite, with per-item records."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from kollama2.engine.stage import Stage, Work
from kollama2.evaluation.suite import Suite
from kollama2.stages.folders import model_folder
from kollama2.stages.source import Source, contents

if TYPE_CHECKING:
    from kollama2.model.chat import ChatEncoder
    from kollama2.model.messages import Message
    from kollama2.model.tokenizer import Tokenizer
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
        from kollama2.evaluation.evaluate import evaluate
        from kollama2.model.folder import ModelFolder
        from kollama2.model.load import load_model

        folder = ModelFolder.read(model_folder(work, self.model))
        places = contents(work, self.data)
        return evaluate(
            self.suite.resolved(places.__getitem__),
            model=load_model(folder.path, device=work.resources.device),
            encoder=ModelEncoder(folder.tokenizer, folder.encoder(self.template)),
            out=work.out,
            resources=work.resources,
            progress=work.progress,
            tokenizer=lambda: folder.plain_tokenizer,
        )


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
        return self.chat.answer(text)

    def prompt(self, messages: Sequence["Message"]) -> list[int]:
        """Ids of a chat up to where the answer begins."""
        return self.chat.prompt(messages)
