"""MD5 checklists (`checklist.chk`), on every platform."""

import hashlib
import re
from pathlib import Path

from kollama2.errors import BadData, Corrupt, storage

NAME = "checklist.chk"
_LINE = re.compile(r"([0-9a-fA-F]{32}) [ *]([^/\\\0]+)")


def read(path: Path) -> dict[str, str]:
    """Read a checklist.

    Returns:
        File name to MD5 in lower-case hex.

    Raises:
        BadData: it is empty, an error page or anything but lines of `md5sum`.
        Denied, StorageTrouble: it cannot be read.
    """
    with storage(path):
        lines = path.read_bytes().decode("utf-8", "replace").splitlines()
    found = [_LINE.fullmatch(line.strip()) for line in lines if line.strip()]
    sums = {match[2]: match[1].lower() for match in found if match}
    if not found or len(sums) != len(found) or {".", ".."} & sums.keys():
        raise BadData(f"{path} is not a list of MD5 sums; delete it and fetch it again")
    return sums


def md5(path: Path) -> str:
    """MD5 of a file, in hex; it finds damage, it does not prove who wrote the file."""
    digest = hashlib.md5(usedforsecurity=False)
    with storage(path), path.open("rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()


def verify(folder: Path, name: str = NAME) -> None:
    """Compare every file of a folder's checklist with its sum.

    Raises:
        Corrupt: a file is missing or differs.
        BadData: the checklist itself is none.
    """
    for file, wanted in read(folder / name).items():
        if not (folder / file).is_file():
            raise Corrupt(f"{folder / file} is missing though {name} lists it; fetch it again")
        if (found := md5(folder / file)) != wanted:
            raise Corrupt(
                f"{folder / file} has the MD5 {found}, {name} demands {wanted}: the file is "
                "damaged; delete it and fetch it again"
            )


def text(sums: dict[str, str]) -> str:
    """Return the lines that `md5sum` would write."""
    return "".join(f"{value}  {file}\n" for file, value in sums.items())
