"""Places: where results are kept, where copies of the hub lie, and whether a folder is free."""

import os
from contextlib import suppress
from pathlib import Path
from stat import S_ISDIR

from kollama2.engine.leftovers import owner_of
from kollama2.errors import BadUsage, StorageTrouble, storage
from kollama2.locale import say


def store_at(folder: str | Path | None) -> Path:
    """The store that is named, else that of `KOLLAMA2_STORE`, else `runs` in the current folder.

    Raises:
        StorageTrouble: it is a file, lies below one, or its name is too long.
        Denied: it may not be looked into.
    """
    store = Path(folder or os.environ.get("KOLLAMA2_STORE") or "runs")
    with storage(store), suppress(FileNotFoundError):
        if not S_ISDIR(store.stat().st_mode):
            raise StorageTrouble(
                say("the store {store} is a file; name a folder as the store", store=store)
            )
        next(store.iterdir(), None)
    return store


def mirrors_at(file: str | Path | None) -> Path | None:
    """The mirrors file that is named, else that of `KOLLAMA2_MIRRORS`, else none."""
    named = file or os.environ.get("KOLLAMA2_MIRRORS")
    return Path(named) if named else None


def check_new(folder: Path) -> None:
    """Refuse a folder for output that holds something or cannot be written, before the work.

    Raises:
        BadUsage: it holds something.
        TryLater, Denied, StorageTrouble: it cannot be written.
    """
    with storage(folder):
        if folder.exists() and any(folder.iterdir() if folder.is_dir() else [folder]):
            raise BadUsage(say("{folder} is not empty; name a new folder", folder=folder))
        whole = folder.absolute()
        probe = owner_of(whole.with_name(f".{whole.name}.partial-{os.getpid():08x}"))
        probe.mkdir(parents=True)
        probe.rmdir()
