"""From the name of a model to its local folder."""

from collections.abc import Callable
from pathlib import Path

from kollama2.engine.hub import PREFIX, snapshot
from kollama2.model.gguf.convert import as_folder


def folder_of(model: str | Path, tell: Callable[[str], None] = lambda text: None) -> Path:
    """The local folder of a model: a path, `hf:owner/name` or `builtin:miniature`.

    Args:
        model: one of these; a GGUF file is unpacked at its first use.
        tell: receives what is said of that.

    Raises:
        BadUsage, Denied, Missing: as `engine.hub.snapshot`.
        BadData: a GGUF file cannot be read.
    """
    name = str(model)
    if name == "builtin:miniature":
        from kollama2.miniature import base

        return base.FOLDER
    if name.startswith(PREFIX):
        return snapshot(name)
    return as_folder(Path(name.removeprefix("file:")), tell)
