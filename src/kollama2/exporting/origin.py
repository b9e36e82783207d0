"""Origin: the base and the data that a model was made of, with their revisions and licences."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kollama2.engine.hub import PREFIX
from kollama2.exporting.choose import Chosen
from kollama2.model.files import ADAPTER_CONFIG, read_json
from kollama2.reporting.study import Study

UNKNOWN = "unknown"
# What the hub's cards of these say; a licence that is given with the command comes first.
_KNOWN = {
    "hf:tatsu-lab/alpaca": "cc-by-nc-4.0",
    "hf:nlpai-lab/kullm-v2": "apache-2.0",
    "hf:nlpai-lab/openassistant-guanaco-ko": "apache-2.0",
    "hf:HuggingFaceTB/SmolLM2-135M": "apache-2.0",
    "hf:HuggingFaceTB/SmolLM2-135M-Instruct": "apache-2.0",
}
_HUB = re.compile(r"[\w.-]+/[\w.-]+")
_OWN = "apache-2.0"  # what the miniature's grammar writes is part of this package
_RESTRICTED = ("-nc", "noncommercial", "non-commercial", "research")


@dataclass(frozen=True)
class Origin:
    """One thing that a model was made of.

    Attributes:
        uri: `hf:owner/name`, `builtin:…`, `file:name`, or what an adapter calls its base.
        pinned: the revision or content hash; empty where none is known.
        licence: its SPDX id or the hub's; `unknown` where nothing says it.
    """

    uri: str
    pinned: str = ""
    licence: str = UNKNOWN

    @property
    def hub(self) -> str | None:
        """Its name on the hub."""
        return self.uri.removeprefix("hf:") if self.uri.startswith("hf:") else None

    @property
    def caution(self) -> str:
        """Why its licence needs a look; empty where it does not."""
        if self.licence == UNKNOWN:
            return "says no licence"
        low = self.licence.lower()
        return "is not for commercial use" if any(one in low for one in _RESTRICTED) else ""

    @property
    def llama2(self) -> bool:
        """Whether it is Llama 2 of Meta's."""
        return self.licence == "llama2" or "llama-2" in self.uri.lower()


def origins(chosen: Chosen, licences: Mapping[str, str]) -> tuple[list[Origin], list[Origin]]:
    """The base of a model, of a merge each of them, and its training data.

    Args:
        chosen: the model.
        licences: by uri, where the user knows them.
    """
    root = chosen.folder.root.path
    said = readme_licence(root)
    noted: Iterable[Mapping[str, Any]] = (one.model_dump() for one in chosen.folder.card.made_of)
    found = list(_sources(chosen) if chosen.study else noted)
    bases = [one for one in found if one["what"] == "model"]
    data = [one for one in found if one["what"] == "data"]
    only = said if len(bases) == 1 else None  # whose it is of several, nothing says
    made = [_origin(one, licences, only) for one in bases] or [_named(chosen, licences, said)]
    return made, [_origin(one, licences) for one in data]


def hub_base(chosen: Chosen) -> str | None:
    """The name on the hub of the very model that an adapter stands on; None if it has none."""
    if chosen.base.startswith(PREFIX):
        return chosen.base.removeprefix(PREFIX)
    if chosen.study is None:
        said = str(read_json(chosen.folder.path / ADAPTER_CONFIG).get("base_model_name_or_path"))
        return said if _HUB.fullmatch(said) and not Path(said).exists() else None
    study, _, cell = chosen.study
    below = _settings(study, cell.model).get("model")  # another stage's, unless a source
    uri = str(below.get("uri", "")) if isinstance(below, Mapping) else ""
    return uri.removeprefix("hf:") if uri.startswith("hf:") else None


def _origin(one: Mapping[str, Any], licences: Mapping[str, str], said: str | None = None) -> Origin:
    uri = str(one["uri"])
    pinned = one.get("revision") or one.get("sha256") or one.get("pinned") or ""
    return Origin(uri, str(pinned)[:40], _licence(uri, licences, one.get("licence") or said))


def _licence(uri: str, licences: Mapping[str, str], said: str | None) -> str:
    known = licences.get(uri) or said or _KNOWN.get(uri)
    if known is None and uri.startswith(("builtin:", "made:")):
        known = _OWN
    if known is None and "llama-2" in uri.lower():
        known = "llama2"
    return known or UNKNOWN


def _named(chosen: Chosen, licences: Mapping[str, str], said: str | None) -> Origin:
    """The base of a model of no study: what was asked for, what its adapter names, its folder."""
    adapter = read_json(chosen.folder.path / ADAPTER_CONFIG)
    file = (chosen.folder.card.recipe.get("gguf") or {}).get("file")  # that was unpacked
    hub, place = hub_base(chosen), chosen.folder.root.path.resolve().name
    asked = chosen.base or (PREFIX + hub if hub else "")
    name = str(asked or adapter.get("base_model_name_or_path") or file or place)
    if Path(name).is_absolute():
        name = Path(name).name  # a place on this machine is nobody else's business
    return Origin(name, "", _licence(name, licences, said))


def readme_licence(folder: Path) -> str | None:
    """The licence that a model folder's card states, `other (NAME)` where the hub has no id."""
    import yaml
    from huggingface_hub import metadata_load

    path = folder / "README.md"
    if not path.is_file():
        return None
    try:
        tree = metadata_load(path) or {}
    except (ValueError, yaml.YAMLError):
        return None  # other people's cards may hold anything
    found, name = tree.get("license"), tree.get("license_name") or UNKNOWN
    if found == "other":
        return None if name == UNKNOWN else f"other ({name})"
    return str(found) if found else None


def _sources(chosen: Chosen) -> Iterator[Mapping[str, Any]]:
    """The outside inputs of the stages that lead to a study's model, each once."""
    assert chosen.study is not None, "a study has stages"
    study, _, cell = chosen.study
    seen = set[tuple[str, str]]()
    for name in (*cell.path, cell.model):
        for one in _inside(_settings(study, name)):
            key = str(one["uri"]), str(one.get("revision") or one.get("sha256"))
            if key not in seen:
                seen.add(key)
                yield one


def _settings(study: Study, name: str) -> Any:
    return study.stages[name].settings if name in study.stages else {}


def _inside(settings: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(settings, Mapping):
        if isinstance(settings.get("uri"), str):
            yield {"what": "data", **settings}
        for value in settings.values():
            yield from _inside(value)
    elif isinstance(settings, list):
        for value in settings:
            yield from _inside(value)
