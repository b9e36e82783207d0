"""Files of a GitHub repository at a pinned commit, for data that lie nowhere else."""

import io
import urllib.error
import urllib.request
import zipfile
import zlib
from http.client import HTTPException
from pathlib import Path

from kollama2.engine.hub import by_mirror
from kollama2.errors import Missing
from kollama2.locale import say

_RAW = "https://raw.githubusercontent.com"
_SECONDS = 60
_LARGEST = 500_000_000  # bytes of a file, also of one that is packed


def fetch(uri: str, revision: str, folder: Path) -> Path:
    """Download the one file that a uri names.

    Args:
        uri: `github:owner/name/path/to/file`; a path may go into a zip archive
            (`…/sets.zip/ko.csv`).
        revision: commit, so that the content cannot change.
        folder: where the file is written.

    Returns:
        The file.

    Raises:
        Missing: GitHub cannot be reached or has no such file, and what a mirrors file would say.
    """
    owner, name, path = uri.removeprefix("github:").split("/", 2)
    archive, inside, member = path.partition(".zip/")
    address = f"{_RAW}/{owner}/{name}/{revision}/{archive}{'.zip' if inside else ''}"
    remedy = say("name {mirror}", mirror=by_mirror(uri))
    try:
        with urllib.request.urlopen(address, timeout=_SECONDS) as answer:  # noqa: S310 https only
            content = answer.read(_LARGEST + 1)
    except urllib.error.HTTPError as error:
        raise Missing(
            say(
                "{uri}: GitHub answers {code} at commit {commit}; {remedy}",
                uri=uri, code=error.code, commit=revision, remedy=remedy,
            )
        ) from error  # fmt: skip
    except (OSError, HTTPException) as error:
        raise Missing(
            say("{uri}: GitHub cannot be reached; {remedy}", uri=uri, remedy=remedy)
        ) from error
    too_large = Missing(f"{uri}: GitHub sends more than {_LARGEST:,} bytes of it; {remedy}")
    if len(content) > _LARGEST:
        raise too_large
    if inside:
        try:
            packed = zipfile.ZipFile(io.BytesIO(content))
            if packed.getinfo(member).file_size > _LARGEST:
                raise too_large
            with packed.open(member) as file:
                content = file.read(_LARGEST)  # a header may understate it
        except (KeyError, zipfile.BadZipFile, zlib.error, RuntimeError, EOFError) as error:
            raise Missing(f"{uri}: the archive holds no file {member!r}; {remedy}") from error
    target = folder / Path(path).name
    target.write_bytes(content)
    return target
