"""Evaluate: one model on one suite, with per-item records."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import takewhile
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from kollama2.engine.stage import Stage, Work
from kollama2.evaluation.suite import Suite
from kollama2.model.folder import OWN
from kollama2.stages.models import ModelStage
from kollama2.stages.source import Source, contents

if TYPE_CHECKING:
    from kollama2.model.chat import ChatEncoder
    from kollama2.model.folder import ModelFolder
    from kollama2.model.messages import Message
    from kollama2.model.tokenizer import Tokenizer


class Evaluate(Stage):
    """The scores of a model on a suite.

    Attributes:
        model: the model.
        suite: tasks, prompts and measures; its `data` are uris.
        data: the source of each uri of the suite.
        template: how the model is addressed; `own` is the template that it brings.
        onto: what an adapter stands on, where it is not a stage's that its card knows.
    """

    kind: Literal["evaluate"] = "evaluate"
    model: ModelStage
    suite: Suite
    data: dict[str, Source]
    template: str = OWN
    onto: ModelStage | None = None

    version: ClassVar[int] = 4
    preload: ClassVar[tuple[str, ...]] = ("kollama2.train.loop", "kollama2.evaluation.evaluate")

    def run(self, work: Work) -> Mapping[str, Any]:
        """Load the model as it was trained (adapter, 4-bit) and score every task."""
        from kollama2.evaluation.evaluate import evaluate
        from kollama2.model.folder import ModelFolder
        from kollama2.model.load import load_folder

        onto = None if self.onto is None else self.onto.folder(work)
        folder = ModelFolder.read(self.model.folder(work), onto)
        encoder = folder.encoder(self.template)
        places = contents(work, self.data)
        return evaluate(
            self.suite.resolved(places.__getitem__),
            model=load_folder(folder, device=work.resources.device),
            encoder=ModelEncoder(folder.tokenizer, encoder),
            out=work.out,
            resources=work.resources,
            progress=work.progress,
            tokenizer=lambda: _addressing(folder, encoder),
        )


@dataclass(frozen=True)
class ModelEncoder:
    """A model's tokenizer and chat template, in the form that the evaluation asks for."""

    tokenizer: "Tokenizer"
    chat: "ChatEncoder"

    @property
    def first_id(self) -> int:
        """The id that a text follows: BOS, or what ends documents where there is no BOS."""
        bos = self.tokenizer.bos_id
        return self.tokenizer.eos_id if bos is None else bos

    @property
    def stop_ids(self) -> tuple[int, ...]:
        """Ids that end an answer."""
        return self.chat.stop_ids

    def encode(self, text: str) -> list[int]:
        """Ids of a text's content."""
        return self.tokenizer.encode(text)

    def decode(self, ids: Sequence[int]) -> str:
        """The text of ids; control tokens are shown by their names, so that none leaks unseen."""
        parts, start = list[str](), 0
        for place, name in enumerate(map(self._marks.get, ids)):
            if name is not None:
                parts += [self.tokenizer.decode(ids[start:place]), name]
                start = place + 1
        return "".join([*parts, self.tokenizer.decode(ids[start:])])

    @cached_property
    def _marks(self) -> dict[int, str]:
        return {i: name for name, i in self.tokenizer.special.items()}

    @cached_property
    def lead(self) -> list[int]:
        """Ids that the template puts between a prompt and any answer, such as an empty thought."""
        places = zip(*map(self.chat.answer, ("a", "나", "1", "(")), strict=False)
        return [ids[0] for ids in takewhile(lambda ids: len(set(ids)) == 1, places)]

    def answer(self, text: str) -> list[int]:
        """Ids of an answer as the template puts it after prompt and lead, without what ends it."""
        return self.chat.answer(text)[len(self.lead) :]

    def prompt(self, messages: Sequence["Message"]) -> list[int]:
        """Ids of a chat up to where the answer begins."""
        return self.chat.prompt(messages)


def _addressing(folder: "ModelFolder", encoder: "ChatEncoder") -> Any:
    """The tokenizer of transformers, with a chat template that gives the encoder's ids."""
    from kollama2.model.bounded import render_ids
    from kollama2.model.jinja import jinja_forms
    from kollama2.model.messages import Message

    plain, name = folder.plain_tokenizer, encoder.template
    if name == OWN:
        return plain
    forms = [plain.get_chat_template()] if folder.has_template else []
    forms += jinja_forms(name, encoder.tokenizer.bos_id)
    asked: Message = {"role": "user", "content": "질문"}
    for form in forms:
        plain.chat_template = form
        if render_ids(plain, [asked], add_generation_prompt=True) == encoder.prompt([asked]):
            break
    return plain
