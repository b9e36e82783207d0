"""Where the model or the tokenizer of a finished stage lies."""

from pathlib import Path
from typing import TYPE_CHECKING

from kollama2.engine.stage import Work
from kollama2.stages.source import Source, content

if TYPE_CHECKING:
    from kollama2.stages.models import Model, Tokens


def model_folder(work: Work, stage: "Model | Tokens") -> Path:
    """The Hugging Face folder of a finished stage."""
    folder = work.path(stage)
    return content(folder) if isinstance(stage, Source) else folder / "model"
