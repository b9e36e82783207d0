"""Vocabulary: a tokenizer with more or fewer pieces, and a model with rows for them.

The two are stages of their own, so that models which differ only in the first rows of their new
pieces share the tokenizer and every encoding by it.
"""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from kollama2.engine.stage import Stage, Work
from kollama2.stages.folders import model_folder
from kollama2.stages.source import Source, examples
from kollama2.vocab.settings import InitSettings, PruneSettings, VocabSettings

if TYPE_CHECKING:
    from kollama2.stages.models import Model, Tokens


class ExpandTokenizer(Stage):
    """A tokenizer with new pieces.

    Attributes:
        tokenizer: the stage whose tokenizer grows.
        corpus: text that the pieces are learned from.
        settings: how many pieces and which.
    """

    kind: Literal["expand_tokenizer"] = "expand_tokenizer"
    version: ClassVar[int] = 2
    tokenizer: "Tokens"
    corpus: tuple[Source, ...]
    settings: VocabSettings

    preload: ClassVar[tuple[str, ...]] = ("sentencepiece", "tokenizers")

    def run(self, work: Work) -> Mapping[str, Any]:
        """Write `model/`: a folder with the tokenizer's files."""
        from kollama2.vocab.expand import expand

        source, out = model_folder(work, self.tokenizer), work.out / "model"
        out.mkdir(exist_ok=True)
        return expand(source, out, texts(work, self.corpus), self.settings)


class ExpandVocab(Stage):
    """A model with rows for the new pieces of a tokenizer.

    Attributes:
        model: the model that grows.
        tokenizer: its tokenizer, expanded.
        settings: how the new rows begin.
        corpus: text for those inits that read some; none for the others.
    """

    kind: Literal["expand_vocab"] = "expand_vocab"
    model: "Model"
    tokenizer: ExpandTokenizer
    settings: InitSettings
    corpus: tuple[Source, ...] = ()

    preload: ClassVar[tuple[str, ...]] = ("kollama2.train.grow", "kollama2.vocab.distill")

    @property
    def version(self) -> int:  # type: ignore[override]
        """2 for distillation, which once left long texts out; the other inits are as they were."""
        return 2 if self.settings.init == "distill" else 1

    @property
    def tokenizer_stage(self) -> ExpandTokenizer:
        """The stage whose tokenizer this model has."""
        return self.tokenizer

    def run(self, work: Work) -> Mapping[str, Any]:
        """Write the folder `model/`."""
        from kollama2.stages.growth import grow_model

        read = texts(work, self.corpus) if self.corpus else None
        return grow_model(
            model_folder(work, self.model),
            model_folder(work, self.tokenizer),
            work.out / "model",
            self.settings,
            read,
            device=work.resources.device,
            progress=work.progress,
        )


class PruneTokenizer(Stage):
    """A tokenizer without the tokens of scripts that are not kept.

    Attributes:
        tokenizer: the stage whose tokenizer shrinks.
        settings: the languages that stay.
    """

    kind: Literal["prune_tokenizer"] = "prune_tokenizer"
    tokenizer: "Tokens"
    settings: PruneSettings

    preload: ClassVar[tuple[str, ...]] = ("sentencepiece", "tokenizers")

    def run(self, work: Work) -> Mapping[str, Any]:
        """Write `model/`: a folder with the tokenizer's files."""
        from kollama2.vocab.prune import prune

        out = work.out / "model"
        out.mkdir(exist_ok=True)
        return prune(model_folder(work, self.tokenizer), out, self.settings)


class PruneVocab(Stage):
    """A model with the rows of a pruned tokenizer alone.

    Attributes:
        model: the model that shrinks.
        tokenizer: its tokenizer, pruned.
    """

    kind: Literal["prune_vocab"] = "prune_vocab"
    model: "Model"
    tokenizer: PruneTokenizer

    preload: ClassVar[tuple[str, ...]] = ("kollama2.train.grow",)

    @property
    def tokenizer_stage(self) -> PruneTokenizer:
        """The stage whose tokenizer this model has."""
        return self.tokenizer

    def run(self, work: Work) -> Mapping[str, Any]:
        """Write the folder `model/`."""
        from kollama2.stages.growth import prune_model

        tokenizer = model_folder(work, self.tokenizer)
        return prune_model(model_folder(work, self.model), tokenizer, work.out / "model")


def texts(work: Work, corpus: tuple[Source, ...]) -> Iterator[str]:
    """Every text of a corpus, without any template."""
    for source in corpus:
        for one in examples(work, source):
            yield from one.texts()
