"""Push: a folder published on the hub, with the user's own token."""

import re
import shlex
from pathlib import Path

from kollama2.engine.commit import MANIFEST
from kollama2.errors import BadData, BadUsage, Denied, Missing, one_line

_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


def check_push(name: str) -> None:
    """Refuse, before any work, a name that no repository can have, and to publish without a token.

    Raises:
        BadUsage: it is not OWNER/NAME.
        Denied: there is no token.
    """
    from huggingface_hub import get_token

    if not _NAME.fullmatch(name):
        raise BadUsage(f"push is {name!r}; a repository of the hub is OWNER/NAME")
    if get_token() is None:
        raise Denied(
            "there is no token for the hub: set HF_TOKEN to one that may write, or hf auth login"
        )


def publish(folder: Path, name: str, endpoint: str | None = None) -> str:
    """Put a folder into a model repository of the hub, which is made private if there is none.

    Args:
        folder: what `export` wrote.
        name: `owner/name`.
        endpoint: of another hub than `HF_ENDPOINT` says.

    Returns:
        The address of the commit.

    Raises:
        Denied: there is no token, or it may not write there.
        Missing: the hub cannot be reached.
        BadData: it does not take the card.
    """
    from httpx2 import HTTPError
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    check_push(name)
    again = f"the model is in {folder}: hf upload {name} {shlex.quote(str(folder))} --private"
    hub = HfApi(endpoint=endpoint)
    try:
        hub.create_repo(name, private=True, exist_ok=True)
        commit = hub.upload_folder(
            repo_id=name,
            folder_path=folder,
            commit_message="Add the model and its card",
            ignore_patterns=[MANIFEST],
        )
    except HfHubHTTPError as error:
        status = error.response.status_code
        if status in (401, 403, 404):
            raise Denied(
                f"the hub refuses to write {name} ({status}): {one_line(error)}; {again}"
            ) from error
        raise Missing(f"the hub answers {status} for {name}: {one_line(error)}; {again}") from error
    except (HTTPError, OfflineModeIsEnabled, OSError) as error:
        raise Missing(f"the hub cannot be reached ({one_line(error)}); {again}") from error
    except ValueError as error:
        raise BadData(f"the hub does not take the card: {one_line(error)}; {again}") from error
    return str(commit.commit_url)
