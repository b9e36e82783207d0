"""Stages: the only place where the engine and the domain meet."""

from typing import Annotated, Any

from pydantic import Field, TypeAdapter

from kollama2.engine.stage import Stage
from kollama2.stages.encode import Encode
from kollama2.stages.evaluate import Evaluate
from kollama2.stages.fresh import Fresh
from kollama2.stages.source import Source
from kollama2.stages.train import Probe, Train

__all__ = ["Encode", "Evaluate", "Fresh", "Probe", "Source", "Train", "parse"]

_any = TypeAdapter[Stage](
    Annotated[Source | Fresh | Encode | Probe | Train | Evaluate, Field(discriminator="kind")]
)


def parse(recipe: dict[str, Any]) -> Stage:
    """The stage that a `stage.json` describes.

    Raises:
        pydantic.ValidationError: the file was not written by this version.
    """
    return _any.validate_python(recipe)
