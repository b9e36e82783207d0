"""From the name of a model to its local folder."""

from pathlib import Path

from kollama2.engine.hub import PREFIX, snapshot


def folder_of(model: str | Path) -> Path:
    """The local folder of a model: a path, `hf:owner/name` or `builtin:miniature`.

    Raises:
        BadUsage, Denied, Missing: as `engine.hub.snapshot`.
    """
    name = str(model)
    if name == "builtin:miniature":
        from kollama2.miniature import base

        return base.FOLDER
    return snapshot(name) if name.startswith(PREFIX) else Path(model)
