"""Prefer: a model tuned on pairs of a better and a worse answer."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from kollama2.engine.stage import Stage, Work
from kollama2.stages.folders import model_folder
from kollama2.stages.source import Source, content, examples
from kollama2.train.preference_settings import PreferSettings

if TYPE_CHECKING:
    from kollama2.data.preferences import Preference
    from kollama2.model.chat import ChatEncoder
    from kollama2.model.messages import Message
    from kollama2.stages.models import Model, Tokens


class Prefer(Stage):
    """A model that has learned preferences.

    Attributes:
        model: where tuning starts; it is the reference too.
        data: rows with `chosen` and `rejected`, or Korean instructions.
        settings: everything that decides the result.
        pairs: aligned pairs; with them pairs (Korean over mixed) are built from instructions.
        template: how a chat is written.
    """

    kind: Literal["prefer"] = "prefer"
    model: "Model"
    data: Source
    settings: PreferSettings
    pairs: Source | None = None
    template: str = "own"

    preload: ClassVar[tuple[str, ...]] = ("kollama2.train.prefer",)

    @property
    def tokenizer_stage(self) -> "Tokens":
        """The stage whose tokenizer this model has."""
        return self.model.tokenizer_stage

    def run(self, work: Work) -> Mapping[str, Any]:
        """Encode the pairs and tune; write `model/` and `metrics.jsonl`."""
        from kollama2.model.folder import ModelFolder
        from kollama2.train.prefer import PairIds, prefer

        folder = model_folder(work, self.model)
        encoder = ModelFolder.read(folder).encoder(self.template)
        counts: dict[str, int] = {}
        pairs = [
            PairIds(
                prompt_ids=encoder.prompt(one.prompt),
                chosen_ids=_answer(encoder, one.prompt, one.chosen),
                rejected_ids=_answer(encoder, one.prompt, one.rejected),
            )
            for one in self._preferences(work, counts)
        ]
        figures = prefer(
            self.settings,
            pairs,
            model=folder,
            out=work.out,
            scratch=work.scratch,
            template=encoder.template,
            resources=work.resources,
            progress=work.progress,
        )
        return {**counts, **figures}

    def _preferences(self, work: Work, counts: dict[str, int]) -> "Iterator[Preference]":
        from kollama2.data import codeswitch, preferences

        place = content(work.path(self.data))
        if self.pairs is None:
            inside = [place] if place.is_file() else sorted(place.rglob("*"))
            for file in filter(Path.is_file, inside):
                yield from preferences.read_preferences(file, counts)
            return
        aligned = codeswitch.read_pairs(content(work.path(self.pairs)), dict(self.pairs.columns))
        instructions = list(examples(work, self.data))
        counts["in"] = len(instructions)
        words = codeswitch.dictionary(list(aligned))
        yield from preferences.prefer_korean(instructions, words, seed=self.settings.seed)


def _answer(encoder: "ChatEncoder", prompt: "Sequence[Message]", answer: str) -> list[int]:
    """The ids of an answer with its EOS, as training sees them after the prompt."""
    whole = encoder.encode([*prompt, {"role": "assistant", "content": answer}]).ids
    return whole[len(encoder.prompt(prompt)) :]
