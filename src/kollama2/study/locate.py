"""Locate: from a uri to a pinned source."""

import hashlib
import os
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from kollama2.data.read import aligned_files, check_aligned
from kollama2.engine.commit import keep_json, read_json
from kollama2.engine.document import near
from kollama2.engine.hub import What, by_mirror, commit_of, expanded
from kollama2.errors import BadData, BadUsage, Denied, Fault, StorageTrouble, TryLater, storage
from kollama2.model.gguf.architectures import config_of
from kollama2.model.gguf.convert import EDITION
from kollama2.model.gguf.file import SUFFIX, Gguf, is_gguf
from kollama2.stages import Source
from kollama2.stages.source import one_file
from kollama2.study.schema import SourceSpec

_SHA256 = re.compile("[0-9a-f]{64}")


class Locator:
    """Turns the uris of one study into pinned sources.

    Args:
        folder: what relative `file:` paths are relative to.
        mirrors: local copies of hub repositories.
        cache: file that remembers content hashes by path, size, inode and times of change.
    """

    def __init__(self, folder: Path, mirrors: dict[str, Path], cache: Path) -> None:
        self.folder = folder
        self.mirrors = mirrors
        self._cache = cache
        self._hashes = _remembered(cache)

    def source(self, spec: SourceSpec, what: What, alias: str | None = None) -> Source:
        """The pinned source of a spec.

        Raises:
            BadUsage: the uri names nothing.
            BadData: the content differs from the sha256 that the study demands, or two aligned
                files have not as many lines.
            Denied, StorageTrouble: a file cannot be read.
            Missing, Denied: a revision cannot be looked up: the hub is out of reach or refuses.
        """
        scheme, _, name = spec.uri.partition(":")
        fields: dict[str, Any] = {
            "what": what,
            "form": spec.form,
            "columns": tuple(spec.columns.items()),
            "alias": alias,
        }
        if scheme == "builtin":
            return _builtin(spec, name, fields)
        if scheme == "hf" and spec.uri not in self.mirrors:
            revision = spec.revision or _revision(spec.uri, what)
            if what == "model" and (spec.file or "").endswith(SUFFIX):
                fields["edition"] = EDITION
            return Source(uri=spec.uri, revision=revision, file=spec.file, **fields)
        place = self.mirrors.get(spec.uri)
        if scheme == "github" and place is None:
            if spec.revision is None:
                raise BadUsage(f"{spec.uri}: give the commit as `revision`")
            return Source(uri=spec.uri, revision=spec.revision, **fields)
        if place is None:
            place = self.folder / Path(expanded(spec.uri, name)).expanduser()
        with storage(place):
            return self._lying_at(place, spec, fields)

    def _lying_at(self, place: Path, spec: SourceSpec, fields: dict[str, Any]) -> Source:
        what, scheme = fields["what"], spec.uri.partition(":")[0]
        if not place.exists():
            raise BadUsage(f"{spec.uri}: nothing lies at {place}; correct the path")
        place = one_file(place, spec.file)
        if what == "model" and place.is_file():
            _check_gguf(spec, place)
            fields["edition"] = EDITION
        sides = aligned_files(place, spec.form) if what == "data" else None
        found = self._hash_pair(*sides) if sides else self._hash(place)
        if spec.sha256 and found != spec.sha256:
            raise BadData(
                f"{spec.uri}: the content of {place} has sha256 {found}, the study demands "
                f"{spec.sha256}; get the right file or change the study"
            )
        uri = f"file:{place.name}" if scheme == "file" else spec.uri
        return Source(uri=uri, sha256=found, **fields).at(place)

    def _hash(self, place: Path) -> str:
        if place.is_file():
            return self._file_hash(place)
        files = sorted(file for file in _below(place) if file.is_file())
        if not files:
            raise BadUsage(f"the folder {place} is empty")
        whole = hashlib.sha256()
        for file in files:
            relative = file.relative_to(place).as_posix()
            whole.update(f"{relative}\0{self._file_hash(file)}\n".encode())
        return whole.hexdigest()

    def _hash_pair(self, english: Path, korean: Path) -> str:
        """Of two aligned files, which are one source; their lines are counted the first time."""
        name = f"aligned\0{self._file_hash(english)}\0{self._file_hash(korean)}"
        if name not in self._hashes:
            check_aligned(english, korean)
            self._hashes[name] = hashlib.sha256(name.encode()).hexdigest()
        return self._hashes[name]

    def _file_hash(self, file: Path) -> str:
        stat = file.stat()
        # The time of the last write can be set back; ctime and inode cannot.
        known_by = (stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino)
        name = "\0".join([str(file.resolve()), *map(str, known_by)])
        if name not in self._hashes:
            with file.open("rb") as stream:
                self._hashes[name] = _sha256(stream.read)
        return self._hashes[name]

    def save(self) -> None:
        """Remember the hashes, so that the next start does not read large files again.

        Where nothing may be written they are computed again each time; no answer depends on them.
        """
        with suppress(Denied, StorageTrouble, TryLater):
            keep_json(self._cache, self._hashes)


def _below(folder: Path) -> Iterator[Path]:
    """All files below a folder; `rglob` would pass over folders that may not be read."""

    def refuse(error: OSError) -> None:
        raise error

    for place, _, names in os.walk(folder, onerror=refuse):
        yield from (Path(place, name) for name in names)


def _remembered(cache: Path) -> dict[str, str]:
    """The hashes of a cache; none where it is missing, cut or no cache of ours."""
    try:
        found = read_json(cache)
    except Fault:
        return {}
    pairs = found.items() if isinstance(found, dict) else ()
    return {name: one for name, one in pairs if _SHA256.fullmatch(str(one))}


def _check_gguf(spec: SourceSpec, file: Path) -> None:
    """Refuse a file that no model can be unpacked from, before its bytes are all read.

    Raises:
        BadUsage: it is no GGUF.
        BadData: it is damaged.
    """
    if not is_gguf(file):
        raise BadUsage(f"{spec.uri}: {file} is a file; a model is a folder, or a {SUFFIX} file")
    config_of(Gguf(file))


def _sha256(read: Callable[[int], bytes]) -> str:
    digest = hashlib.sha256()
    while block := read(1 << 20):
        digest.update(block)
    return digest.hexdigest()


def _builtin(spec: SourceSpec, name: str, fields: dict[str, Any]) -> Source:
    from kollama2.miniature import base, corpora

    what = fields["what"]
    known = ["miniature"] if what == "model" else [f"miniature/{n}" for n in corpora.NAMES]
    if name not in known:
        raise BadUsage(f"{spec.uri} is no built-in {what}; {near(name, known)}")
    if what == "model":
        return Source(uri=spec.uri, sha256=base.sha256(), **fields)
    return Source(
        uri=spec.uri,
        seed=spec.seed,
        size=spec.size,
        edition=corpora.VERSION,
        **fields,
    )


def _revision(uri: str, what: What) -> str:
    return commit_of(uri, what, instead=f"name a revision, or {by_mirror(uri)}")
