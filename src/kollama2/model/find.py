"""Find: from the name of a model to its folder, and to the base that an adapter stands on."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import kollama2
from kollama2.engine.hub import MODEL_FILES, PREFIX, by_mirror, snapshot
from kollama2.errors import BadUsage
from kollama2.locale import say
from kollama2.model.folder import ModelFolder, is_adapter, named_base
from kollama2.model.gguf.convert import Tell, as_folder

BUILTIN = {"builtin:miniature": Path(kollama2.__file__).parent / "miniature" / "base" / "model"}
Mirrors = Mapping[str, Path]
NONE: Mirrors = MappingProxyType({})
_FILE = "file:"


def find_place(
    name: str | Path, mirrors: Mirrors = NONE, patterns: Sequence[str] = MODEL_FILES
) -> Path:
    """Where a model lies on this machine, a folder or a file.

    Args:
        name: a path, `hf:owner/name` or `builtin:miniature`.
        mirrors: local copies of hub repositories (`engine.hub.load_mirrors`).
        patterns: which files of a hub's repository are wanted.

    Returns:
        The place; whether a path leads to something is not looked at.

    Raises:
        BadUsage, Denied, Missing: as `engine.hub.snapshot`; a mirror is not there.
    """
    text = str(name)
    if text in BUILTIN:
        return BUILTIN[text]
    if text in mirrors:
        if not mirrors[text].exists():
            raise BadUsage(f"{text}: nothing lies at {mirrors[text]}; correct the mirrors file")
        return mirrors[text]
    if text.startswith(PREFIX):
        instead = say("name a local folder instead, or {mirror}", mirror=by_mirror(text))
        return snapshot(text, patterns, instead=instead)
    return Path(text.removeprefix(_FILE))


def find_folder(name: str | Path, mirrors: Mirrors = NONE, tell: Tell = lambda text: None) -> Path:
    """The local folder of a model; a GGUF file is unpacked at its first use.

    Args:
        name: as for `find_place`.
        mirrors: as for `find_place`.
        tell: receives what is said of unpacking.

    Raises:
        BadUsage, Denied, Missing: as `find_place`.
        BadData: a GGUF file cannot be read.
    """
    return as_folder(find_place(name, mirrors), tell)


def find_model(
    name: str | Path,
    onto: str | Path | None = None,
    mirrors: Mirrors = NONE,
    tell: Tell = lambda text: None,
) -> ModelFolder:
    """The model of a name; the base of an adapter may lie on the hub or be a mirror too.

    Args:
        name: as for `find_folder`.
        onto: the base of an adapter, in the place of the one that it names; named in the same way.
        mirrors: as for `find_folder`.
        tell: as for `find_folder`.

    Raises:
        BadData: an adapter names no base that is there, or a card cannot be read.
        BadUsage: there is no such base, or `onto` is given for whole weights.
        Denied, Missing: as `engine.hub.snapshot`.
    """
    folder = find_folder(name, mirrors, tell)
    if folder.is_file():
        raise BadUsage(f"{folder} is a file, and no GGUF; name the folder of a model")
    if not is_adapter(folder):
        if onto is not None:
            raise BadUsage(f"--onto is for adapters, and {name} is none")
        return ModelFolder.read(folder)
    base = find_folder(onto or named_base(folder), mirrors, tell)
    if not base.is_dir():
        raise BadUsage(f"--onto names {base}, and there is no such folder")
    return ModelFolder.read(folder, base)
