"""Stages: the only place where the engine and the domain meet."""

from kollama2.stages.ask import Ask as Ask
from kollama2.stages.blocks import ExpandBlocks as ExpandBlocks
from kollama2.stages.contamination import Contamination as Contamination
from kollama2.stages.derive import Derive as Derive
from kollama2.stages.encode import Encode as Encode
from kollama2.stages.evaluate import Evaluate as Evaluate
from kollama2.stages.fresh import Fresh as Fresh
from kollama2.stages.merge import Merge as Merge
from kollama2.stages.models import ChangedModel as ChangedModel
from kollama2.stages.models import ModelStage as ModelStage
from kollama2.stages.models import TokenizerStage as TokenizerStage
from kollama2.stages.order import Order as Order
from kollama2.stages.prefer import Prefer as Prefer
from kollama2.stages.source import Source as Source
from kollama2.stages.train import Probe as Probe
from kollama2.stages.train import Train as Train
from kollama2.stages.vocab import ExpandTokenizer as ExpandTokenizer
from kollama2.stages.vocab import ExpandVocab as ExpandVocab
from kollama2.stages.vocab import PruneTokenizer as PruneTokenizer
from kollama2.stages.vocab import PruneVocab as PruneVocab
