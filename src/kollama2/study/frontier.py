"""The frontier: every merge that costs no training, and which of them nothing else beats."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kollama2.engine.hub import load_mirrors
from kollama2.engine.store import Store
from kollama2.records.measures import measure
from kollama2.stages import Evaluate, Merge, ModelStage, Source
from kollama2.study.adapt import spec_of
from kollama2.study.cells import resolve_suite
from kollama2.study.locate import Locator
from kollama2.study.merges import check_merges
from kollama2.train.merging.settings import MergeSettings

_SHARES = (0.25, 0.5, 0.75)
_WEIGHTS = (0.5, 1.0)


@dataclass(frozen=True)
class Frontier:
    """The models to compare: names, and the stage that scores each; the first is the base.

    `pairs` are the models whose relative gap is worth knowing first.
    """

    stages: dict[str, Evaluate]
    pairs: dict[str, tuple[Source, Source]]


@dataclass(frozen=True)
class Point:
    """One model: what it gains in Korean and loses in English, both relative to the base.

    Where a measure is in bits both are shares of the base's bits, else differences.
    """

    name: str
    korean_gain: float
    english_loss: float
    best: bool = False


def frontier(
    base: str,
    korean: str,
    *,
    chat: str | None = None,
    instruct: str | None = None,
    suite: str = "quick",
    template: str = "own",
    store: Path,
    mirrors: Path | None = None,
) -> Frontier:
    """All free combinations of a base, its chat model and Korean models that came from the base.

    Args:
        base: the model that all others came from.
        korean: the base after Korean pre-training.
        chat: the base's own chat model.
        instruct: the base or `korean` after Korean instructions.
        suite: name or YAML file of a suite with an English measure.
        template: chat template of all models and results; `own` is each one's own.
        store: the folder of the store.
        mirrors: a mirrors file.

    Raises:
        BadUsage: a model or the suite does not exist.
    """
    locator = Locator(Path.cwd(), load_mirrors(mirrors), store / "hashes.json")

    def source(place: str, alias: str) -> Source:
        return locator.source(spec_of(place), "model", alias=alias)

    start, first = source(base, "base"), source(korean, "ko")
    named = {"ko": first}
    if instruct is not None:
        named["ko-sft"] = source(instruct, "ko-sft")
    talks = source(chat, "chat") if chat is not None else None
    models: dict[str, ModelStage] = {"base": start, **named, **_between(start, named, template)}
    pairs = {f"base and {name}": (start, model) for name, model in named.items()}
    if talks is not None:
        models |= {"chat": talks, **_with_chat(start, named, talks, template)}
        pairs["base and chat"] = (start, talks)
    chosen, data = resolve_suite(suite, locator)
    locator.save()
    stages = {
        name: Evaluate(model=model, suite=chosen, data=data, template=template)
        for name, model in models.items()
    }
    check_merges(models.values(), Store(store))
    return Frontier(stages, pairs)


def _between(base: Source, korean: dict[str, Source], template: str) -> dict[str, ModelStage]:
    """Interpolations between the base and each Korean model, and between the Korean ones."""
    made: dict[str, ModelStage] = {}
    for name, model in korean.items():
        for share in _SHARES:
            settings = MergeSettings(method="linear", weight=round(1 - share, 2))
            made[f"{share:g} {name}"] = Merge(
                model=model, others=(base,), settings=settings, template=template
            )
    if len(korean) == 2:
        first, second = korean.values()
        settings = MergeSettings(method="slerp", weight=0.5)
        made["slerp ko, ko-sft"] = Merge(
            model=first, others=(second,), settings=settings, template=template
        )
    return made


def _with_chat(
    base: Source, korean: dict[str, Source], chat: Source, template: str
) -> dict[str, ModelStage]:
    """What a chat model of the same base adds."""
    made: dict[str, ModelStage] = {}
    for name, model in korean.items():
        for weight in _WEIGHTS:
            vector = MergeSettings(method="chat-vector", weight=weight)
            made[f"{name} + {weight:g} chat vector"] = Merge(
                model=model, others=(chat,), base=base, settings=vector, template=template
            )
            shadow = MergeSettings(method="shadow-ft", weight=weight)
            made[f"chat + {weight:g} ({name} - base)"] = Merge(
                model=chat, others=(model,), base=base, settings=shadow, template=template
            )
        slerp = MergeSettings(method="slerp", weight=0.5)
        made[f"slerp {name}, chat"] = Merge(
            model=model, others=(chat,), settings=slerp, template=template
        )
        for settings in (MergeSettings(method="ties"), MergeSettings(method="dare")):
            made[f"{settings.method} {name}, chat"] = Merge(
                model=model, others=(chat,), base=base, settings=settings, template=template
            )
    return made


def points(scores: dict[str, dict[str, float]], primary: str, english: str) -> list[Point]:
    """Gain and loss of each model against the first, the best ones marked.

    Args:
        scores: for each model its measures; the first model is the base.
        primary: the Korean measure.
        english: the English one.

    Returns:
        The points, the largest gain first; a best one has no other with as much gain and less loss.
    """
    base = next(iter(scores.values()))
    found = [
        Point(name, _better(base, one, primary), 0.0 - _better(base, one, english))
        for name, one in scores.items()
    ]
    best = pareto([(point.korean_gain, -point.english_loss) for point in found])
    marked = [
        Point(p.name, p.korean_gain, p.english_loss, good)
        for p, good in zip(found, best, strict=True)
    ]
    return sorted(marked, key=lambda point: -point.korean_gain)


def _better(base: dict[str, float], one: dict[str, float], name: str) -> float:
    about = measure(name)
    assert about.higher is not None, f"{name} ranks nothing"
    if about.unit == "bits/byte" and not about.higher:
        return (base[name] - one[name]) / base[name]
    return (one[name] - base[name]) * (1 if about.higher else -1)


def pareto(values: Sequence[tuple[float, float]]) -> list[bool]:
    """For each point whether no other is at least as good in both and better in one."""
    return [
        not any(
            a >= x and b >= y and (a > x or b > y)
            for other, (a, b) in enumerate(values)
            if other != place
        )
        for place, (x, y) in enumerate(values)
    ]
