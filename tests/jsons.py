"""JSON files that tests change."""

import json
from pathlib import Path
from typing import Any


def change(path: Path, **values: Any) -> None:
    """Set keys of a JSON object in a file."""
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}), encoding="utf-8")
