"""What a plan estimates: stages that learn on a model, or give it other rows."""

from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar

from kollama2.engine.stage import Stage
from kollama2.stages.derive import Derive
from kollama2.stages.encode import Encode
from kollama2.stages.models import ChangedTokenizer, ModelStage, TokenizerStage
from kollama2.stages.order import Order
from kollama2.stages.source import Source, files_of
from kollama2.train.settings import TrainSettings

BYTES_PER_TOKEN = 1.6
"""Of Korean in Llama 2's vocabulary, until a source is encoded and tells its own."""

Count = Callable[[Encode | Order], Mapping[str, float] | None]
"""About how many rows, tokens, bytes and ko_bytes encoding finds; None where nobody knows."""


class Costly(Stage):
    """A stage that says what it reads and how it learns before it begins.

    Attributes:
        model: where it starts.
    """

    model: ModelStage

    reference: ClassVar[bool] = False
    """Whether the model as it was is computed too."""

    @property
    def tries(self) -> int:
        """How often it is done, from the same start."""
        return 1

    @property
    def learns(self) -> bool:
        """Whether anything is learned by it."""
        return self.width > 0

    @property
    def training(self) -> TrainSettings | None:
        """The training that it is; None where only rows of the vocabulary change."""
        return None

    @property
    def trains_tables(self) -> bool:
        """Whether an adapter comes with whole tables."""
        return False

    @property
    def width(self) -> int:
        """Tokens of one step; 0 where nothing is learned."""
        return self.training.batch * self.training.max_length if self.training else 0

    @property
    def reads(self) -> Sequence[Source | Derive]:
        """The sources that it learns from."""
        return ()

    def tokens(self, count: Count) -> int | None:
        """Tokens that it reads, in one of its tries; None where nobody knows."""
        return 0


def bytes_per_token(tokenizer: TokenizerStage) -> float:
    """Of Korean by a tokenizer, as far as one knows before anything is encoded."""
    left = 1.0
    while isinstance(tokenizer, ChangedTokenizer):
        left *= tokenizer.left
        tokenizer = tokenizer.tokenizer
    return BYTES_PER_TOKEN / left


def bytes_at_hand(sources: Sequence[Source | Derive]) -> int | None:
    """Bytes of files on this machine; None where a source is elsewhere or packed."""
    total = 0
    for source in sources:
        place = source.place
        if place is None:
            return None
        files = files_of(place)
        if any(file.suffix in (".gz", ".zst", ".parquet") for file in files):
            return None
        total += sum(file.stat().st_size for file in files)
    return total
