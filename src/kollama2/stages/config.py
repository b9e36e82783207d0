"""The `config.json` of a model that is a source: on this machine, in a GGUF file, or on the hub."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kollama2.engine.hub import PREFIX
from kollama2.model.gguf.architectures import config_of
from kollama2.model.gguf.file import Gguf


def read_config(place: Path) -> Mapping[str, Any] | None:
    """Of a folder or GGUF file; an adapter's is its base's. None where there is none to read."""
    if place.is_file():
        return config_of(Gguf(place))
    for _ in range(8):  # an adapter on an adapter on a base
        if (place / "config.json").is_file():
            break
        base = _read(place / "kollama2.json") or {}
        place = place / str(base.get("base", ""))
    return _read(place / "config.json")


def hub_config(uri: str, revision: str | None) -> Mapping[str, Any] | None:
    """Of a hub model, a small file; None where the hub does not give it."""
    if not uri.startswith(PREFIX):
        return None
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    try:
        file = hf_hub_download(uri.removeprefix(PREFIX), "config.json", revision=revision)
    except (HfHubHTTPError, OfflineModeIsEnabled, OSError):
        return None  # The plan then says whose size it does not know.
    return _read(Path(file))


def _read(file: Path) -> Mapping[str, Any] | None:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None  # what is wrong with it is said when it is loaded
    return found if isinstance(found, dict) else None
