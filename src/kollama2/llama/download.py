"""Downloading Llama 2 by the link of Meta's e-mail: what Meta's download.sh does, and verified."""

import difflib
import shutil
from collections.abc import Sequence
from pathlib import Path

from kollama2.errors import BadData, BadUsage, Corrupt, TryLater, storage
from kollama2.llama import checklist
from kollama2.llama.fetch import Fetcher, Heard, check_link

ASK_URL = "Enter the URL from email: "
ASK_MODELS = (
    "Enter the list of models to download without spaces (7B,13B,70B,7B-chat,13B-chat,70B-chat), "
    "or press Enter for all: "
)
# Files and gigabytes of each model.
SHARDS = {"7B": 1, "13B": 2, "70B": 8, "7B-chat": 1, "13B-chat": 2, "70B-chat": 8}
_LIMIT, _SHARD_LIMIT = 16_000_000, 20_000_000_000  # bytes
_GIGABYTES = {"7B": 13.5, "13B": 26.1, "70B": 138.0}


def chosen(answer: str) -> list[str]:
    """Read the answer to the question for models.

    Raises:
        BadUsage: a name is unknown.
    """
    names = [name.strip() for name in answer.split(",") if name.strip()] or list(SHARDS)
    for name in names:
        if name not in SHARDS:
            near = difflib.get_close_matches(name, SHARDS, 1, 0.4)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(SHARDS)}"
            raise BadUsage(f"there is no Llama 2 model {name!r}; {hint}")
    return list(dict.fromkeys(names))


def folder_name(model: str) -> str:
    """The folder of a model: `llama-2-7b-chat` for 7B-chat."""
    return f"llama-2-{model.lower()}"


def hub_id(model: str) -> str:
    """The same model on the Hugging Face hub, in safetensors."""
    size, _, chat = model.lower().partition("-")
    return f"meta-llama/Llama-2-{size}-chat-hf" if chat else f"meta-llama/Llama-2-{size}-hf"


def download(
    link: str,
    models: Sequence[str],
    target: Path,
    heard: Heard = lambda *_: None,
    *,
    patience: float = 60.0,
    pause: float = 1.0,
) -> list[Path]:
    """Download licence, tokenizer and models into a folder.

    A file gets its name only when its MD5 sum is right; until then it is `NAME.partial`, which the
    same call continues, also with a newer link. Files that are there are verified, not fetched.

    Args:
        link: the link of the e-mail; its first `*` stands for the file.
        models: names as in `SHARDS`.
        target: the folder to fill.
        heard: called with name, bytes and total while a file grows.
        patience: seconds without a byte after which a transfer counts as broken.
        pause: seconds before a broken transfer is continued.

    Returns:
        The folders of the models.

    Raises:
        BadUsage: the link is none, or a name is unknown.
        Denied: the link expired.
        Corrupt: a file is not what its MD5 sum says; it was deleted.
        Missing, TryLater, StorageTrouble: as `Fetcher.fetch`.
    """
    link = link.strip()
    check_link(link)
    if "*" not in link:
        raise BadUsage("the link has no * for the name of the file; copy it whole from the e-mail")
    models = chosen(",".join(models))
    with storage(target):
        target.mkdir(parents=True, exist_ok=True)
    _need_space(models, target)
    fetcher = Fetcher(heard, patience, pause)
    try:
        _Folder(fetcher, link, target, "").licence_and_tokenizer()
        for model in models:
            _Folder(fetcher, link, target, folder_name(model)).model(SHARDS[model])
    finally:
        fetcher.close()
    return [target / folder_name(model) for model in models]


def _need_space(models: Sequence[str], target: Path) -> None:
    need = sum(_GIGABYTES[model.removesuffix("-chat")] * 1e9 for model in models)
    for model in models:
        need -= sum(file.stat().st_size for file in (target / folder_name(model)).glob("*"))
    free = shutil.disk_usage(target).free
    if free < need:
        raise TryLater(
            f"{', '.join(models)} need {need / 1e9:.1f} GB more and the disk of {target} has "
            f"{free / 1e9:.1f} GB left; free some space or name another folder"
        )


class _Folder:
    """One folder of the download: its files, and their sums at the end."""

    def __init__(self, fetcher: Fetcher, link: str, target: Path, name: str) -> None:
        self._fetcher, self._link, self._name = fetcher, link, name
        self._folder = target / name
        with storage(self._folder):
            self._folder.mkdir(exist_ok=True)

    def licence_and_tokenizer(self) -> None:
        for name in ("LICENSE", "USE_POLICY.md"):
            self._fetch(name)
            self._finish(name)
        self._verified(["tokenizer.model"], "tokenizer_checklist.chk")

    def model(self, shards: int) -> None:
        names = [f"consolidated.{number:02d}.pth" for number in range(shards)]
        self._verified([*names, "params.json"], checklist.NAME)

    def _verified(self, names: list[str], sums: str) -> None:
        for name in [*names, sums]:
            self._fetch(name)
        try:
            wanted = checklist.read(self._at(sums))
        except BadData:
            self._drop(sums)
            raise
        for name in names:
            if name not in wanted:
                self._drop(sums)
                raise BadData(f"{sums} names no MD5 sum of {name}, so it cannot be verified")
            if (found := checklist.md5(self._at(name))) != wanted[name]:
                self._drop(name)
                self._drop(sums)
                raise Corrupt(
                    f"{self._folder / name} came with the MD5 {found}, {sums} demands "
                    f"{wanted[name]}; it was deleted, give the same command again"
                )
            self._finish(name)
        self._finish(sums)

    def _fetch(self, name: str) -> None:
        if (self._folder / name).is_file():
            return
        path = f"{self._name}/{name}" if self._name else name
        limit = _SHARD_LIMIT if name.endswith(".pth") else _LIMIT
        # Only the first star is a place for the name, as in Meta's script.
        self._fetcher.fetch(self._link.replace("*", path, 1), self._partial(name), path, limit)

    def _partial(self, name: str) -> Path:
        return self._folder / f"{name}.partial"

    def _at(self, name: str) -> Path:
        final = self._folder / name
        return final if final.is_file() else self._partial(name)

    def _finish(self, name: str) -> None:
        if self._partial(name).is_file():
            with storage(self._folder / name):
                self._partial(name).rename(self._folder / name)

    def _drop(self, name: str) -> None:
        with storage(self._folder):
            self._at(name).unlink(missing_ok=True)
