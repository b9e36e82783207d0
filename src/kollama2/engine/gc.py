"""Garbage: the folders of a store that no study names any more."""

import re
import shutil
import uuid
from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from pathlib import Path

from kollama2.engine import lease
from kollama2.engine.leftovers import leftovers, remove
from kollama2.engine.store import Store
from kollama2.errors import storage

_OURS = re.compile(
    r"(?P<name>[a-z][a-z0-9_-]*-[0-9a-f]{12})(?P<rest>\.partial|\.(corrupt|gone)-\w+)?"
)


def gc(
    store: Store, keep: AbstractSet[str], *, delete: bool = False, beside: Iterable[Path] = ()
) -> list[tuple[Path, int]]:
    """Find, and with `delete` remove, the folders that are not wanted.

    Finished and partial folders of stages outside `keep` go, damaged folders that were moved aside,
    and what killed commands left there or in the folders `beside`. Whatever somebody is working on
    stays, and so does everything that is not a stage.

    Args:
        store: where to look.
        keep: names of stages, inputs included (e.g. all of `plan(...).stages`).
        delete: remove them; otherwise they are only listed.
        beside: folders that commands write their results into.

    Returns:
        Each folder with its size in bytes.
    """
    found = []
    with storage(store.root):
        for folder in sorted(store.root.iterdir()) if store.root.is_dir() else []:
            match = _OURS.fullmatch(folder.name)
            if match is None or not folder.is_dir():
                continue
            name, rest = match["name"], match["rest"] or ""
            held = lease.holder(store.root / f"{name}.lease") is not None
            set_aside = rest.startswith((".corrupt", ".gone"))
            if set_aside or (name not in keep and not held):
                found.append((folder, _bytes(folder)))
                if delete:
                    _remove(folder, name)
        beside = (store.root, store.root / "studies", *beside)
        for place in dict.fromkeys(one.resolve() for one in beside):
            for left in leftovers(place):
                found.append((left, _bytes(left)))
                if delete:
                    remove(left)
        for file in store.root.glob("*.lease") if delete else ():
            if lease.holder(file) is None and not file.with_suffix(".partial").exists():
                file.unlink(missing_ok=True)
    return found


def _remove(folder: Path, name: str) -> None:
    """Out of sight in one step, so that a kill leaves nothing that looks finished."""
    gone = folder.with_name(f"{name}.gone-{uuid.uuid4().hex[:8]}")
    folder.rename(gone)
    shutil.rmtree(gone)


def _bytes(folder: Path) -> int:
    if not folder.is_dir():
        return folder.lstat().st_size
    return sum(path.lstat().st_size for path in folder.rglob("*") if not path.is_dir())
