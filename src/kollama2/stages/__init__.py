"""Stages: the only place where the engine and the domain meet."""

from kollama2.stages.ask import Ask
from kollama2.stages.blocks import ExpandBlocks
from kollama2.stages.contamination import Contamination
from kollama2.stages.derive import Derive
from kollama2.stages.encode import Encode
from kollama2.stages.evaluate import Evaluate
from kollama2.stages.fresh import Fresh
from kollama2.stages.merge import Merge
from kollama2.stages.models import ChangedModel, ModelStage, TokenizerStage
from kollama2.stages.order import Order
from kollama2.stages.prefer import Prefer
from kollama2.stages.source import Source
from kollama2.stages.train import Probe, Train
from kollama2.stages.vocab import ExpandTokenizer, ExpandVocab, PruneTokenizer, PruneVocab

__all__ = [
    "Ask",
    "ChangedModel",
    "Contamination",
    "Derive",
    "Encode",
    "Evaluate",
    "ExpandBlocks",
    "ExpandTokenizer",
    "ExpandVocab",
    "Fresh",
    "Merge",
    "ModelStage",
    "Order",
    "Prefer",
    "Probe",
    "PruneTokenizer",
    "PruneVocab",
    "Source",
    "TokenizerStage",
    "Train",
]
