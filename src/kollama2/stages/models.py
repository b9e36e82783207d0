"""What gives a model and what a tokenizer: the classes that other stages name in their fields."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kollama2.engine.stage import Stage, Work
from kollama2.engine.store import Store


class TokenizerStage(Stage):
    """A stage whose result holds a tokenizer that no other stage changed."""

    def folder(self, work: Work) -> Path:
        """Where the tokenizer of this finished stage lies."""
        return work.path(self) / "model"


class ChangedTokenizer(TokenizerStage):
    """A tokenizer that was made of another.

    Attributes:
        tokenizer: the stage whose tokenizer is changed.
    """

    tokenizer: TokenizerStage

    @property
    def left(self) -> float:
        """About the share of its tokens that Korean takes after the change."""
        return 1.0


class ModelStage(Stage):
    """A stage whose result is a model."""

    @property
    def tokenizer_stage(self) -> TokenizerStage:
        """The stage whose tokenizer this model has."""
        raise NotImplementedError

    @property
    def origin(self) -> str:
        """The uri of the model that a chain of changes begins with."""
        raise NotImplementedError

    @property
    def new_rows(self) -> bool:
        """Whether its vocabulary grew and the new rows were never trained."""
        return False

    def folder(self, work: Work) -> Path:
        """The Hugging Face folder of this finished stage."""
        return work.path(self) / "model"

    def config(self, store: Store, *, hub: bool = False) -> Mapping[str, Any] | None:
        """What its `config.json` says, or will say where it is not computed yet.

        A vocabulary that is not learned yet is counted with all the pieces that it may have, one
        that is not pruned yet with all that it has.

        Args:
            store: where results lie.
            hub: ask the hub for what is nowhere on this machine.

        Returns:
            None where the model that it begins with is out of reach.
        """
        raise NotImplementedError


class ChangedModel(ModelStage):
    """A model that was made of another.

    Attributes:
        model: the model that is changed.
    """

    model: ModelStage

    @property
    def tokenizer_stage(self) -> TokenizerStage:
        """That of the model before."""
        return self.model.tokenizer_stage

    @property
    def origin(self) -> str:
        """That of the model before."""
        return self.model.origin

    @property
    def new_rows(self) -> bool:
        """As in the model before."""
        return self.model.new_rows

    def config(self, store: Store, *, hub: bool = False) -> Mapping[str, Any] | None:
        """That of the model before."""
        return self.model.config(store, hub=hub)
