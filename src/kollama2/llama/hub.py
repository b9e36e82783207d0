"""Models of the Hugging Face hub, fetched with the user's own token."""

import os
from pathlib import Path

from kollama2.errors import Denied, Missing

PREFIX = "hf:"
FILES = ("*.json", "*.safetensors", "*.model", "*.txt", "*.jinja", "*.md")


def folder_of(model: str | Path) -> Path:
    """The local folder of a model: a path, `hf:owner/name` or `builtin:miniature`.

    Raises:
        Denied, Missing: as `fetch`.
    """
    name = str(model)
    if name == "builtin:miniature":
        from kollama2.miniature import base

        return base.FOLDER
    return fetch(name.removeprefix(PREFIX)) if name.startswith(PREFIX) else Path(model)


def fetch(name: str, target: Path | None = None, revision: str | None = None) -> Path:
    """Fetch a model's safetensors, configuration and tokenizer; never pickle, never code.

    Args:
        name: `owner/name`.
        target: folder to write; the hub's own cache where it is None.
        revision: commit or tag; the newest where it is None.

    Raises:
        Denied: the repository is gated, private or not there.
        Missing: the hub cannot be reached.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        LocalEntryNotFoundError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
    )

    try:
        folder = snapshot_download(
            name,
            revision=revision,
            local_dir=target,
            allow_patterns=list(FILES),
            token=os.environ.get("HF_TOKEN"),
        )
    except GatedRepoError as error:
        extra = ""
        if name.startswith("meta-llama/"):
            extra = (
                " (for Llama 2 also ask on Meta's download page with the e-mail address of that "
                "account; it takes one to two days)"
            )
        raise Denied(
            f"hf:{name} is gated: accept its conditions on https://huggingface.co/{name}{extra}, "
            "then set HF_TOKEN to a token of the same account"
        ) from error
    except RepositoryNotFoundError as error:
        raise Denied(
            f"hf:{name}: no such repository, or it is private and HF_TOKEN does not open it"
        ) from error
    except (LocalEntryNotFoundError, OfflineModeIsEnabled, HfHubHTTPError, OSError) as error:
        raise Missing(
            f"hf:{name}: the hub cannot be reached; name a local folder instead"
        ) from error
    return Path(folder)
