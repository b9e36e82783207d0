"""Which stages give a model and which a tokenizer: a new kind of either is a name more here."""

from typing import Annotated

from pydantic import Field

from kollama2.stages.blocks import ExpandBlocks
from kollama2.stages.encode import Encode
from kollama2.stages.evaluate import Evaluate
from kollama2.stages.fresh import Fresh
from kollama2.stages.merge import Merge
from kollama2.stages.order import Order
from kollama2.stages.prefer import Prefer
from kollama2.stages.source import Source
from kollama2.stages.train import Probe, Train
from kollama2.stages.vocab import ExpandTokenizer, ExpandVocab, PruneTokenizer, PruneVocab

Model = Annotated[
    Source | Fresh | ExpandVocab | PruneVocab | ExpandBlocks | Train | Prefer | Merge,
    Field(discriminator="kind"),
]
"""A stage whose result is a model."""

Tokens = Annotated[Source | ExpandTokenizer | PruneTokenizer, Field(discriminator="kind")]
"""A stage whose result holds a tokenizer that no other stage changed."""

for stage in (
    Encode,
    Order,
    ExpandTokenizer,
    ExpandVocab,
    PruneTokenizer,
    PruneVocab,
    ExpandBlocks,
    Probe,
    Train,
    Prefer,
    Merge,
    Evaluate,
):
    stage.model_rebuild()  # their fields name the types above, which name them
