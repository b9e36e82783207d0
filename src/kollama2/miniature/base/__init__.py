"""The base model of the miniature: it knows its world in English and almost no Korean.

`scripts/build_base.py` makes the folder `model/`; its card says how it was trained.
"""

import hashlib
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent / "model"


@cache
def sha256() -> str:
    """Hash over the names and contents of the model's files."""
    digest = hashlib.sha256()
    for file in sorted(FOLDER.iterdir()):
        digest.update(f"{file.name}\0{hashlib.sha256(file.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()
