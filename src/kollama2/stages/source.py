"""Sources: the outside world, pinned. A model or data set from the hub, a file, or the miniature.

A source's identity is what it holds (hub id and revision, or content hash), never where it lies;
its place on this machine is a private attribute that is not part of the key.
"""

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import PrivateAttr

from kollama2.data.read import aligned_files
from kollama2.engine.commit import write_json
from kollama2.engine.hashes import FILE, Hashes
from kollama2.engine.hub import DATA_FILES, MODEL_FILES, by_mirror, snapshot
from kollama2.engine.stage import Work
from kollama2.engine.store import Store
from kollama2.errors import BadUsage, Missing, StorageTrouble, TryLater, storage
from kollama2.locale import mark, say
from kollama2.model.gguf.file import is_gguf
from kollama2.records.read import Record, read
from kollama2.stages.config import hub_config, read_config
from kollama2.stages.github import fetch
from kollama2.stages.models import ModelStage, TokenizerStage

if TYPE_CHECKING:
    from kollama2.data.forms import Example

PLACE = "place.json"
MINIATURE = "builtin:miniature"


class Source(ModelStage, TokenizerStage):
    """One outside input: `builtin:…`, `hf:owner/name`, `github:owner/name/file` or `file:name`.

    Attributes:
        what: a model folder, or data to read.
        uri: where it comes from; for files only the name, because the content is the identity.
        revision: commit of the hub repository.
        file: the file, or pattern of files, that is meant when a repository holds several.
        sha256: hash of the file or folder, for files and mirrors.
        form: data form, when it should not be detected from the rows.
        columns: names of the columns, as (our name, their name) pairs.
        seed: seed of a generated corpus.
        size: rows of a generated corpus.
        edition: version of the generator that writes a built-in corpus, or unpacks a GGUF file.
        alias: another name for the same content; it makes a distinct stage (a control).
    """

    kind: Literal["source"] = "source"
    what: Literal["model", "data"]
    uri: str
    revision: str | None = None
    file: str | None = None
    sha256: str | None = None
    form: str | None = None
    columns: tuple[tuple[str, str], ...] = ()
    seed: int = 0
    size: int | None = None
    edition: int | None = None
    alias: str | None = None

    inline: ClassVar[bool] = True
    _place: Path | None = PrivateAttr(default=None)

    @property
    def tokenizer_stage(self) -> "Source":
        """The stage whose tokenizer this model has: itself."""
        return self

    @property
    def origin(self) -> str:
        """Its uri."""
        return self.uri

    @property
    def place(self) -> Path | None:
        """Where the content lies on this machine, if that is known."""
        return self._place

    def at(self, place: Path | None) -> "Source":
        """The same source, knowing where its content lies on this machine."""
        self._place = place
        return self

    def folder(self, work: Work) -> Path:
        """The folder of a finished model."""
        return content(work.path(self))

    def config(self, store: Store, *, hub: bool = False) -> Mapping[str, Any] | None:
        """What the `config.json` of this model says; None where that is out of reach."""
        place = self._place
        if self.uri == MINIATURE:
            from kollama2.miniature import base

            place = base.FOLDER
        elif place is None and store.record(self) is not None:
            place = content(store.path(self))
        found = None if place is None else read_config(place)
        return hub_config(self.uri, self.revision) if found is None and hub else found

    def run(self, work: Work) -> Mapping[str, Any]:
        """Copy or generate a built-in source, unpack a GGUF; else write down where it lies.

        Raises:
            StorageTrouble: the file is not where it was said to be.
            Denied: the hub refuses (gated or private repository).
            Missing: the hub cannot be reached and no mirror is given.
            BadData: a GGUF cannot be read.
        """
        if self.uri.startswith("builtin:"):
            return _write_builtin(self, work.out)
        if self.uri.startswith("github:") and self._place is None:
            assert self.revision is not None, "the locator demands a commit"
            target = work.out / "content"
            target.mkdir(parents=True, exist_ok=True)
            return {"bytes": _size(fetch(self.uri, self.revision, target))}
        if self._place is not None:
            place = self._place
        elif self.uri.startswith("hf:"):
            work.progress(0, 0, mark("fetching from the hub"))
            place = _download(self)
        else:
            raise StorageTrouble(
                f"{self.uri}: its place on this machine is unknown; start from the study that "
                "names it, so that the file can be found"
            )
        if not place.exists():
            raise StorageTrouble(f"{self.uri}: nothing lies at {place}; correct the source's uri")
        if self.what == "model" and is_gguf(place):
            work.progress(0, 0, mark("unpacking the file"))
            return _unpack(place, work)
        write_json(work.out / PLACE, {"path": str(place.resolve())})
        return {"bytes": _size(place)}

    def stands(self, root: Path, *, direct: bool = True) -> bool:
        """Compare what lies outside the store with the hash in the key.

        Data that a model was made of may change afterwards; a base is read by every adapter on it.
        The store may know an older place than this source does: that of a file which was moved.

        Raises:
            Corrupt: where it lies cannot be read.
        """
        folder = root / self.name
        pointed = _pointed(folder)
        if folder.is_dir() and pointed is None:
            return True  # the store itself holds it
        place = pointed or self._place
        if self.sha256 is None or place is None or not (direct or self.what == "model"):
            return True
        with storage(place):
            if not place.exists():
                return self._place is None  # who reads it says that it is gone
            return _digest(self, place, Hashes(root / FILE)) == self.sha256


def _digest(source: Source, place: Path, hashes: Hashes) -> str:
    """The hash of what lies at a place, as the locator pins it."""
    sides = aligned_files(place, source.form) if source.what == "data" else None
    return hashes.of_pair(*sides)[0] if sides else hashes.of(place)


def content(folder: Path) -> Path:
    """Where the content of a finished source lies, given the source's folder in the store.

    Raises:
        StorageTrouble: the file or folder was moved away since.
        Corrupt: where it lies cannot be read.
    """
    place = _pointed(folder)
    if place is None:
        return folder / "content"
    if not place.exists():
        raise StorageTrouble(f"{place} was there when the study was locked and is gone now")
    return place


def _pointed(folder: Path) -> Path | None:
    """The place that a finished source points at; None where the store itself holds it."""
    pointer = folder / PLACE
    return Path(read(pointer, _Pointer).path) if pointer.exists() else None


class _Pointer(Record):
    path: str


def contents(work: Work, data: Mapping[str, Source]) -> dict[str, Path]:
    """Where the content of each of several finished sources lies, by what a suite calls them."""
    return {uri: content(work.path(source)) for uri, source in data.items()}


def examples(work: Work, source: Source) -> Iterator["Example"]:
    """The usable rows of a finished source."""
    from kollama2.data.read import Example
    from kollama2.data.read import read as rows

    for one in rows(content(work.path(source)), source.form, dict(source.columns)):
        if isinstance(one, Example):
            yield one


def files_of(place: Path) -> list[Path]:
    """A file itself, or all files of a folder."""
    return [place] if place.is_file() else [one for one in place.rglob("*") if one.is_file()]


def _size(place: Path) -> int:
    return sum(file.stat().st_size for file in files_of(place))


def _write_builtin(source: Source, out: Path) -> Mapping[str, Any]:
    from kollama2.miniature import base, corpora

    target = out / "content"
    shutil.rmtree(target, ignore_errors=True)  # a killed attempt may have left half of it
    name = source.uri.removeprefix(MINIATURE).removeprefix("/")
    if source.what == "model":
        shutil.copytree(base.FOLDER, target)
        return {"bytes": _size(target)}
    target.mkdir(parents=True)
    return corpora.write(name, target, seed=source.seed, size=source.size)


def _unpack(file: Path, work: Work) -> Mapping[str, Any]:
    from concurrent.futures.process import BrokenProcessPool, ProcessPoolExecutor
    from multiprocessing import get_context

    from kollama2.model.gguf.convert import to_hugging_face

    target = work.out / "content"
    shutil.rmtree(target, ignore_errors=True)  # a killed attempt may have left it
    # A process of its own: this one must not hold torch, and other threads start workers from it.
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        try:
            found = pool.submit(to_hugging_face, file, target).result()
        except BrokenProcessPool as error:
            raise TryLater(
                f"{file}: unpacking was killed, most likely for want of memory; give the same "
                "command again"
            ) from error
    return {**found, "bytes": _size(target)}


def _download(source: Source) -> Path:
    patterns = MODEL_FILES if source.what == "model" else DATA_FILES
    folder = snapshot(
        source.uri,
        [source.file] if source.file else patterns,
        source.what,
        revision=source.revision,
        instead=say("name {mirror}", mirror=by_mirror(source.uri)),
    )
    return one_file(folder, source.file)


def one_file(place: Path, file: str | None) -> Path:
    """The one file of a folder that a source names; the place itself when it names none.

    A pattern that fits several files means their folder.

    Raises:
        BadUsage: it names a place outside the folder.
        Missing: the folder has no such file.
    """
    if file is None or place.is_file():
        return place
    if not file or Path(file).is_absolute() or ".." in Path(file).parts:
        raise BadUsage(f"`file` is {file!r}; name a file inside {place}, or a pattern of files")
    found = sorted(place.glob(file))
    if not found:
        raise Missing(f"{place} has no file {file!r}; correct the source's `file`")
    return found[0] if len(found) == 1 else place
