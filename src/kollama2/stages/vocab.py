"""Vocabulary: a tokenizer with more or fewer pieces, and a model with rows for them.

The two are stages of their own, so that models which differ only in the first rows of their new
pieces share the tokenizer and every encoding by it.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Literal

from kollama2.engine.stage import Work
from kollama2.engine.store import Store
from kollama2.stages.costly import BYTES_PER_TOKEN, Costly, Count, bytes_at_hand
from kollama2.stages.models import ChangedModel, ChangedTokenizer
from kollama2.stages.source import Source, examples
from kollama2.vocab.expected import tokens_left
from kollama2.vocab.settings import InitSettings, PruneSettings, VocabSettings


class ExpandTokenizer(ChangedTokenizer):
    """A tokenizer with new pieces.

    Attributes:
        tokenizer: the stage whose tokenizer grows.
        corpus: text that the pieces are learned from.
        settings: how many pieces and which.
    """

    kind: Literal["expand_tokenizer"] = "expand_tokenizer"
    version: ClassVar[int] = 2
    corpus: tuple[Source, ...]
    settings: VocabSettings

    preload: ClassVar[tuple[str, ...]] = ("sentencepiece", "tokenizers")

    @property
    def left(self) -> float:
        """About the share of its tokens that Korean takes with the new pieces."""
        return tokens_left(self.settings)

    def run(self, work: Work) -> Mapping[str, Any]:
        """Write `model/`: a folder with the tokenizer's files."""
        from kollama2.vocab.expand import expand

        source, out = self.tokenizer.folder(work), work.out / "model"
        out.mkdir(exist_ok=True)
        return expand(source, out, texts(work, self.corpus), self.settings)


class ExpandVocab(ChangedModel, Costly):
    """A model with rows for the new pieces of a tokenizer.

    Attributes:
        model: the model that grows.
        tokenizer: its tokenizer, expanded.
        settings: how the new rows begin.
        corpus: text for those inits that read some; none for the others.
    """

    kind: Literal["expand_vocab"] = "expand_vocab"
    tokenizer: ExpandTokenizer
    settings: InitSettings
    corpus: tuple[Source, ...] = ()

    preload: ClassVar[tuple[str, ...]] = ("kollama2.vocab.growth",)

    @property
    def version(self) -> int:  # type: ignore[override]
        """2 for distillation, which once left long texts out; the other inits are as they were."""
        return 2 if self.settings.init == "distill" else 1

    @property
    def tokenizer_stage(self) -> ExpandTokenizer:
        """The stage whose tokenizer this model has."""
        return self.tokenizer

    @property
    def new_rows(self) -> bool:
        """That they were never trained."""
        return True

    @property
    def width(self) -> int:
        """Tokens of one step of a distillation; other ways to begin rows only look at old ones."""
        chosen = self.settings
        return chosen.batch * chosen.max_length if chosen.init == "distill" else 0

    @property
    def reads(self) -> Sequence[Source]:
        """The text that inits look at."""
        return self.corpus

    def tokens(self, count: Count) -> int:
        """Old and new tokens of the text that a distillation reads."""
        if not self.learns:
            return 0
        text = min(self.settings.text, bytes_at_hand(self.corpus) or self.settings.text)
        return round(text / BYTES_PER_TOKEN * (1 + self.tokenizer.left))

    def config(self, store: Store, *, hub: bool = False) -> Mapping[str, Any] | None:
        """That of the model before, with rows for all new pieces."""
        config, record = super().config(store, hub=hub), store.record(self.tokenizer)
        rows = config and config.get("vocab_size")
        if config is None or not isinstance(rows, int):
            return config
        chosen = self.tokenizer.settings
        size = -(-(rows + chosen.wanted) // chosen.multiple) * chosen.multiple
        return {**config, "vocab_size": max(rows, record.metrics["size"] if record else size)}

    def run(self, work: Work) -> Mapping[str, Any]:
        """Write the folder `model/`."""
        from kollama2.vocab.growth import grow_model

        read = texts(work, self.corpus) if self.corpus else None
        return grow_model(
            self.model.folder(work),
            self.tokenizer.folder(work),
            work.out / "model",
            self.settings,
            read,
            device=work.resources.device,
            progress=work.progress,
        )


class PruneTokenizer(ChangedTokenizer):
    """A tokenizer without the tokens of scripts that are not kept.

    Attributes:
        tokenizer: the stage whose tokenizer shrinks.
        settings: the languages that stay.
    """

    kind: Literal["prune_tokenizer"] = "prune_tokenizer"
    settings: PruneSettings

    preload: ClassVar[tuple[str, ...]] = ("sentencepiece", "tokenizers")

    def run(self, work: Work) -> Mapping[str, Any]:
        """Write `model/`: a folder with the tokenizer's files."""
        from kollama2.vocab.prune import prune

        out = work.out / "model"
        out.mkdir(exist_ok=True)
        return prune(self.tokenizer.folder(work), out, self.settings)


class PruneVocab(ChangedModel, Costly):
    """A model with the rows of a pruned tokenizer alone.

    Attributes:
        model: the model that shrinks.
        tokenizer: its tokenizer, pruned.
    """

    kind: Literal["prune_vocab"] = "prune_vocab"
    tokenizer: PruneTokenizer

    preload: ClassVar[tuple[str, ...]] = ("kollama2.vocab.growth",)

    @property
    def tokenizer_stage(self) -> PruneTokenizer:
        """The stage whose tokenizer this model has."""
        return self.tokenizer

    def config(self, store: Store, *, hub: bool = False) -> Mapping[str, Any] | None:
        """That of the model before, with the rows that stay, once they are known."""
        config, record = super().config(store, hub=hub), store.record(self.tokenizer)
        if config is None or record is None:
            return config
        return {**config, "vocab_size": record.metrics["size"]}

    def run(self, work: Work) -> Mapping[str, Any]:
        """Write the folder `model/`."""
        from kollama2.vocab.growth import prune_model

        tokenizer = self.tokenizer.folder(work)
        return prune_model(self.model.folder(work), tokenizer, work.out / "model")


def texts(work: Work, corpus: tuple[Source, ...]) -> Iterator[str]:
    """Every text of a corpus, without any template."""
    for source in corpus:
        for one in examples(work, source):
            yield from one.texts()
