"""Stages: the only place where the engine and the domain meet."""

from typing import Annotated, Any

from pydantic import Field, TypeAdapter

from kollama2.engine.stage import Stage
from kollama2.stages.ask import Ask
from kollama2.stages.contamination import Contamination
from kollama2.stages.encode import Encode
from kollama2.stages.evaluate import Evaluate
from kollama2.stages.fresh import Fresh
from kollama2.stages.models import Model
from kollama2.stages.source import Source
from kollama2.stages.train import Probe, Train
from kollama2.stages.vocab import ExpandTokenizer, ExpandVocab

__all__ = [
    "Ask",
    "Contamination",
    "Encode",
    "Evaluate",
    "ExpandTokenizer",
    "ExpandVocab",
    "Fresh",
    "Model",
    "Probe",
    "Source",
    "Train",
    "parse",
]

_any = TypeAdapter[Stage](
    Annotated[
        Model | Encode | ExpandTokenizer | Probe | Evaluate | Contamination | Ask,
        Field(discriminator="kind"),
    ]
)


def parse(recipe: dict[str, Any]) -> Stage:
    """The stage that a `stage.json` describes.

    Raises:
        pydantic.ValidationError: the file was not written by this version.
    """
    return _any.validate_python(recipe)
