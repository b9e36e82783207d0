"""Locate: from a uri to a pinned source."""

from pathlib import Path
from typing import Any

from kollama2.data.forms import form_of
from kollama2.data.lines import check_regular
from kollama2.data.read import aligned_files, check_aligned
from kollama2.engine.document import near
from kollama2.engine.hashes import Hashes
from kollama2.engine.hub import What, by_mirror, commit_of, expanded
from kollama2.errors import BadData, BadUsage, storage
from kollama2.locale import say
from kollama2.model.gguf.architectures import config_of
from kollama2.model.gguf.convert import EDITION
from kollama2.model.gguf.file import SUFFIX, Gguf, is_gguf
from kollama2.stages import Source
from kollama2.stages.source import one_file
from kollama2.study.schema import SourceSpec


class Locator:
    """Turns the uris of one study into pinned sources.

    Args:
        folder: what relative `file:` paths are relative to.
        mirrors: local copies of hub repositories.
        cache: file of the store that remembers content hashes by path, size, inode and times of
            change.
    """

    def __init__(self, folder: Path, mirrors: dict[str, Path], cache: Path) -> None:
        self.folder = folder
        self.mirrors = mirrors
        self._store = cache.parent
        self._hashes = Hashes(cache)

    def source(self, spec: SourceSpec, what: What, alias: str | None = None) -> Source:
        """The pinned source of a spec.

        Raises:
            BadUsage: the uri names nothing, or the columns no form.
            BadData: the content differs from the sha256 that the study demands, or two aligned
                files have not as many lines.
            Denied, StorageTrouble: a file cannot be read.
            Missing, Denied: a revision cannot be looked up: the hub is out of reach or refuses.
        """
        form_of(spec.form, spec.columns)  # roles that there are not fail here, not in a worker
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
            instead = say("name a revision, or {mirror}", mirror=by_mirror(spec.uri))
            revision = spec.revision or commit_of(spec.uri, what, instead=instead)
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
            raise BadUsage(
                say("{uri}: nothing lies at {place}; correct the path", uri=spec.uri, place=place)
            )
        check_regular(place)
        place = one_file(place, spec.file)
        if self._store.resolve().is_relative_to(place.resolve()):
            raise BadUsage(
                f"{spec.uri}: {place} holds the store {self._store}, so that it would be another "
                "source after each run; name a folder elsewhere with --store"
            )
        if what == "model" and place.is_file():
            _check_gguf(spec, place)
            fields["edition"] = EDITION
        sides = aligned_files(place, spec.form) if what == "data" else None
        if sides:
            found, known = self._hashes.of_pair(*sides)
            if not known:
                check_aligned(*sides)
        else:
            found = self._hash(place)
        if spec.sha256 and found != spec.sha256:
            raise BadData(
                f"{spec.uri}: the content of {place} has sha256 {found}, the study demands "
                f"{spec.sha256}; get the right file or change the study"
            )
        uri = f"file:{place.name}" if scheme == "file" else spec.uri
        return Source(uri=uri, sha256=found, **fields).at(place)

    def _hash(self, place: Path) -> str:
        try:
            return self._hashes.of(place)
        except FileNotFoundError as error:
            raise BadUsage(f"{error}; name one that holds something") from error

    def save(self) -> None:
        """Remember the hashes, as `Hashes.save`."""
        self._hashes.save()


def _check_gguf(spec: SourceSpec, file: Path) -> None:
    """Refuse a file that no model can be unpacked from, before its bytes are all read.

    Raises:
        BadUsage: it is no GGUF.
        BadData: it is damaged.
    """
    if not is_gguf(file):
        raise BadUsage(f"{spec.uri}: {file} is a file; a model is a folder, or a {SUFFIX} file")
    config_of(Gguf(file))


def _builtin(spec: SourceSpec, name: str, fields: dict[str, Any]) -> Source:
    from kollama2.miniature import base, corpora

    what = fields["what"]
    known = ["miniature"] if what == "model" else [f"miniature/{n}" for n in corpora.NAMES]
    if name not in known:
        raise BadUsage(f"{spec.uri} is no built-in {what}; {near(name, known)}")
    if what == "model":
        return Source(uri=spec.uri, sha256=base.sha256(), **fields)
    fields["edition"] = corpora.VERSION
    return Source(uri=spec.uri, seed=spec.seed, size=spec.size, **fields)
