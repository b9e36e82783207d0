"""The frontier: every merge of some models that costs no training."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from kollama2.engine.hub import load_mirrors
from kollama2.engine.store import Store
from kollama2.stages import Evaluate, Merge, ModelStage, Source
from kollama2.study.adapt import spec_of
from kollama2.study.cells import resolve_suite
from kollama2.study.locate import Locator
from kollama2.study.merges import check_merges
from kollama2.train.merging.settings import MergeSettings

_SHARES = (0.25, 0.5, 0.75)
_WEIGHTS = (0.5, 1.0)


def combinations(
    base: str,
    korean: str,
    *,
    chat: str | None = None,
    instruct: str | None = None,
    suite: str = "quick",
    template: str = "own",
    store: Path,
    mirrors: Path | None = None,
) -> tuple[dict[str, Evaluate], dict[str, tuple[Source, Source]]]:
    """All free combinations of a base, its chat model and Korean models that came from the base.

    Arguments as for `api.frontier.frontier`.

    Returns:
        The stage that scores each, by the names of the models, the base first; and the pairs of
        models whose relative gap is worth knowing first.

    Raises:
        BadUsage: a model or the suite does not exist.
    """
    locator = Locator(Path.cwd(), load_mirrors(mirrors), store / "hashes.json")

    def source(place: str, alias: str) -> Source:
        return locator.source(spec_of(place), "model", alias=alias)

    start, named = source(base, "base"), {"ko": source(korean, "ko")}
    if instruct is not None:
        named["ko-sft"] = source(instruct, "ko-sft")
    models: dict[str, ModelStage] = {"base": start, **named, **_between(start, named, template)}
    pairs = {f"base and {name}": (start, model) for name, model in named.items()}
    if chat is not None:
        talks = source(chat, "chat")
        models |= {"chat": talks, **_with_chat(start, named, talks, template)}
        pairs["base and chat"] = (start, talks)
    chosen, data = resolve_suite(suite, locator)
    locator.save()
    check_merges(models.values(), Store(store))
    stages = {
        name: Evaluate(model=model, suite=chosen, data=data, template=template)
        for name, model in models.items()
    }
    return stages, pairs


def _between(base: Source, korean: Mapping[str, Source], template: str) -> dict[str, Merge]:
    """Interpolations between the base and each Korean model, and between the Korean ones."""
    merge, made = partial(_merge, template), dict[str, Merge]()
    for name, model in korean.items():
        for share in _SHARES:
            made[f"{share:g} {name}"] = merge("linear", model, base, weight=round(1 - share, 2))
    if len(korean) == 2:
        made["slerp ko, ko-sft"] = merge("slerp", *korean.values(), weight=0.5)
    return made


def _with_chat(
    base: Source, korean: Mapping[str, Source], chat: Source, template: str
) -> dict[str, Merge]:
    """What a chat model of the same base adds."""
    merge, made = partial(_merge, template), dict[str, Merge]()
    for name, model in korean.items():
        for weight in _WEIGHTS:
            vector = merge("chat-vector", model, chat, base=base, weight=weight)
            made[f"{name} + {weight:g} chat vector"] = vector
            shadow = merge("shadow-ft", chat, model, base=base, weight=weight)
            made[f"chat + {weight:g} ({name} - base)"] = shadow
        made[f"slerp {name}, chat"] = merge("slerp", model, chat, weight=0.5)
        for method in ("ties", "dare"):
            made[f"{method} {name}, chat"] = merge(method, model, chat, base=base)
    return made


def _merge(
    template: str,
    method: Any,
    model: Source,
    other: Source,
    base: Source | None = None,
    **more: Any,
) -> Merge:
    settings = MergeSettings(method=method, **more)
    return Merge(model=model, others=(other,), base=base, settings=settings, template=template)
