"""The Hugging Face hub, asked with the user's own token; what it refuses, in one sentence.

Behind a firewall a mirrors file names local copies of what lies there.
"""

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from kollama2.errors import BadUsage, Denied, Missing, storage_fault
from kollama2.locale import mark, say

PREFIX = "hf:"
MODEL_FILES = ("*.json", "*.safetensors", "*.model", "*.txt", "*.jinja", "*.md")
DATA_FILES = ("*.json", "*.jsonl", "*.csv", "*.tsv", "*.parquet", "*.txt", "*.gz", "*.md")
What = Literal["model", "data"]

_INSTEAD = mark("name a local folder instead")
_META = mark(
    " (for Llama 2 also ask on Meta's download page with the e-mail address of that account; "
    "it takes one to two days)"
)


def load_mirrors(path: Path | None) -> dict[str, Path]:
    """Read a mirrors file: a YAML mapping of `hf:owner/name` to a local file or folder.

    Environment variables in a path are expanded; a relative path is relative to the file.

    Raises:
        BadUsage: the file is missing or not such a mapping.
        Denied, StorageTrouble: it cannot be read.
    """
    from kollama2.engine.document import Document

    if path is None:
        return {}
    document = Document(path)
    for uri, place in document.tree.items():
        if not isinstance(uri, str) or not isinstance(place, str):
            raise document.fault((uri,), "expected lines such as 'hf:owner/name: path/to/copy'")
    return {uri: path.parent / expanded(uri, place) for uri, place in document.tree.items()}


def expanded(uri: str, place: str) -> str:
    """The place of a uri with its environment variables filled in.

    Raises:
        BadUsage: a variable is not set.
    """
    filled = os.path.expandvars(place)
    if unset := re.search(r"\$\{?(\w+)", filled):
        raise BadUsage(f"{uri}: the environment variable {unset[1]} is not set; export it")
    return filled


def by_mirror(uri: str) -> str:
    """What can be named where a uri cannot be fetched: the line of a mirrors file that serves."""
    return say(
        "a local copy in a mirrors file (--mirrors FILE with a line '{uri}: path/to/copy')", uri=uri
    )


def snapshot(
    uri: str,
    patterns: Sequence[str] = MODEL_FILES,
    what: What = "model",
    *,
    revision: str | None = None,
    target: Path | None = None,
    instead: str = _INSTEAD,
) -> Path:
    """Fetch files of a repository; of a model never pickles and never code.

    Args:
        uri: `hf:owner/name`.
        patterns: which files.
        what: the kind of repository.
        revision: commit or tag; the newest where it is None.
        target: folder to write; the hub's own cache where it is None.
        instead: what the user can do where the hub is out of reach.

    Returns:
        The folder; an interrupted one is continued and never taken for the whole.

    Raises:
        BadUsage: the name is none.
        Denied: the repository is gated, private or not there, or the token is not accepted.
        Missing: the hub cannot be reached, or has no such revision.
        TryLater, StorageTrouble: the folder cannot be written.
    """
    from huggingface_hub import snapshot_download

    if target is not None:
        # Without a commit the library takes a folder that was begun for the whole repository.
        revision = commit_of(uri, what, revision=revision, instead=instead)
    with _asking(uri, instead, target):
        folder = snapshot_download(
            uri.removeprefix(PREFIX),
            repo_type="dataset" if what == "data" else "model",
            revision=revision,
            local_dir=target,
            allow_patterns=list(patterns),
            token=os.environ.get("HF_TOKEN"),
        )
    return Path(folder)


def commit_of(uri: str, what: What, *, revision: str | None = None, instead: str = _INSTEAD) -> str:
    """The commit that a branch or tag of a repository means now; arguments as in `snapshot`.

    Raises:
        BadUsage, Denied, Missing: as `snapshot`.
    """
    from huggingface_hub import HfApi

    api, name = HfApi(token=os.environ.get("HF_TOKEN")), uri.removeprefix(PREFIX)
    with _asking(uri, instead):
        ask: Any = api.dataset_info if what == "data" else api.model_info
        return str(ask(name, revision=revision).sha)


@contextmanager
def _asking(uri: str, instead: str, target: Path | None = None) -> Iterator[None]:
    from httpx2 import HTTPError
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        HFValidationError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    name = uri.removeprefix(PREFIX)
    try:
        yield
    except HFValidationError as error:
        raise BadUsage(f"{uri} is no name on the hub; it has the form hf:owner/name") from error
    except GatedRepoError as error:
        raise Denied(
            say(
                "{uri} is gated: accept its conditions on https://huggingface.co/{name}{more}, "
                "then set HF_TOKEN to a token of the same account",
                uri=uri,
                name=name,
                more=say(_META) if name.startswith("meta-llama/") else "",
            )
        ) from error
    except RevisionNotFoundError as error:
        raise Missing(f"{uri} has no such revision; name a commit or tag that it has") from error
    except (HTTPError, OSError) as error:
        # The library turns some answers of the hub into "not found on this machine".
        answer: BaseException = error
        while not isinstance(answer, HfHubHTTPError) and answer.__cause__ is not None:
            answer = answer.__cause__
        code = answer.response.status_code if isinstance(answer, HfHubHTTPError) else None
        if code == 403 or (code == 401 and "Invalid credentials" in str(answer)):
            raise Denied(
                f"{uri}: the hub does not accept the token in HF_TOKEN for it; make one on "
                "https://huggingface.co/settings/tokens that may read gated repositories too"
            ) from error
        if code == 401 or isinstance(error, RepositoryNotFoundError):
            raise Denied(
                say(
                    "{uri}: no such repository, or it is private and HF_TOKEN does not open it",
                    uri=uri,
                )
            ) from error
        if fault := storage_fault(error, target or Path("~/.cache/huggingface").expanduser()):
            raise fault from error
        raise Missing(
            say("{uri}: the hub cannot be reached; {instead}", uri=uri, instead=say(instead))
        ) from error
