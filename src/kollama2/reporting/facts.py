"""What a report shows beside its figures: sample answers, data, costs, versions."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from kollama2.errors import visible
from kollama2.records.read import Json, read
from kollama2.reporting.board import Cost, Leaderboard
from kollama2.reporting.study import TRAINING, Sample, Study, samples

PROMPTS = 24  # that a page shows
ROWS = ("in", "kept", "rejected")
LONGEST = 700  # characters of an answer that a page shows


@dataclass(frozen=True)
class SampleAnswer:
    """A recipe's answer, made visible; None where the recipe has none."""

    recipe: str
    text: str | None
    cut: bool = False


@dataclass(frozen=True)
class SamplePrompt:
    """The answers of every recipe to one prompt."""

    task: str
    item: str
    prompt: str
    reference: str | None
    answers: tuple[SampleAnswer, ...]


@dataclass(frozen=True)
class Expense:
    """A recipe's cost, with what depends on the machine apart; means over seeds.

    `loss` is that of the last training, over its last tenth.
    """

    recipe: str
    cost: Cost
    loss: float | None
    training: float | None
    evaluation: float | None
    memory: float | None


def sample_answers(study: Study, recipes: Sequence[str]) -> tuple[list[SamplePrompt], int, str]:
    """The answers of all recipes side by side; each recipe speaks with its first seed.

    Returns:
        The prompts that a page shows, out of how many, and the seeds whose models answered.
    """
    found: dict[tuple[str, str], dict[str, Sample]] = {}
    seeds: set[int] = set()
    for recipe in recipes:
        for cell in study.first(recipe):
            seeds.add(cell.seed)
            for sample in samples(study, cell):
                found.setdefault((sample.task, sample.item), {}).setdefault(recipe, sample)
    shown = []
    for (task, item), by_recipe in _spread(found)[:PROMPTS]:
        any_one = next(iter(by_recipe.values()))
        answers = tuple(_answer(recipe, by_recipe.get(recipe)) for recipe in recipes)
        reference = None if any_one.reference is None else visible(any_one.reference)
        shown.append(SamplePrompt(task, item, visible(any_one.prompt), reference, answers))
    return shown, len(found), ", ".join(map(str, sorted(seeds))) or "–"


def _spread(
    found: dict[tuple[str, str], dict[str, Sample]],
) -> list[tuple[tuple[str, str], dict[str, Sample]]]:
    """Prompts in turn from each task, so that a long task does not hide the others."""
    seen: Counter[str] = Counter()
    turns = []
    for key, value in found.items():
        turns.append((seen[key[0]], (key, value)))
        seen[key[0]] += 1
    return [one for _, one in sorted(turns, key=lambda turn: turn[0])]


def _answer(recipe: str, sample: Sample | None) -> SampleAnswer:
    if sample is None:
        return SampleAnswer(recipe, None)
    return SampleAnswer(recipe, visible(sample.answer[:LONGEST]), len(sample.answer) > LONGEST)


def missing_states(study: Study, recipe: str) -> list[tuple[str, int]]:
    """How many cells of a recipe failed or were not computed."""
    states = Counter(cell.state for cell in study.of(recipe) if not cell.done)
    return sorted(states.items())


def costs(study: Study, board: Leaderboard) -> list[Expense]:
    """The cost of every recipe, in the order of the leaderboard."""
    return [_expense(study, row.recipe, row.cost) for row in board.rows]


def _expense(study: Study, recipe: str, cost: Cost) -> Expense:
    losses, training, evaluation, memory = [], [], [], []
    for cell in study.of(recipe):
        if not cell.done:
            continue
        path = [study.stages[name] for name in cell.path if name in study.stages]
        learned = [stage for stage in path if stage.kind in TRAINING]
        training.append(sum(stage.record.seconds for stage in learned))
        evaluation.append(study.stages[cell.evaluate].record.seconds)
        if learned and isinstance(loss := learned[-1].metrics.get("loss_end"), int | float):
            losses.append(loss)
        memory.append(max((one.record.peak_memory_bytes for one in learned), default=0))
    return Expense(recipe, cost, _mean(losses), _mean(training), _mean(evaluation), _mean(memory))


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def duration(seconds: float | None) -> str:
    """`5.5 s`, `12 min 30 s`, `3 h 5 min`."""
    if seconds is None:
        return "–"
    if seconds < 60:
        return f"{seconds:.1f} s"
    if seconds < 3600:
        return f"{int(seconds // 60)} min {int(seconds % 60)} s"
    return f"{int(seconds // 3600)} h {int(seconds % 3600 // 60)} min"


def encodings(study: Study) -> list[Json]:
    """Every encoding that the study's recipes learned from: what came in, was kept, and why not."""
    found = []
    for stage in study.stages.values():
        path = stage.file("encoding.json")
        if path is None:
            continue
        record = read(path, Json)
        counts = {key: f"{value:,}" for key, value in record.get("counts", {}).items()}
        more = {key: value for key, value in record.get("counts", {}).items() if key not in ROWS}
        why = {**record.get("reasons", {}), **more}  # duplicates, rows beyond the budget, …
        found.append(
            {
                "name": stage.name,
                "sources": dict.fromkeys(_uris(stage.settings.get("data"))),
                "template": str(record.get("template", "–")),
                "max_length": str(record.get("max_length", "–")),
                "counts": {key: counts.get(key, "–") for key in ROWS},
                "reasons": [(visible(str(key)), value) for key, value in why.items() if value],
            }
        )
    return found


def _uris(settings: Any) -> Iterable[str]:
    """Every `uri` in the settings of a stage, in order."""
    if isinstance(settings, dict):
        if isinstance(settings.get("uri"), str):
            yield visible(settings["uri"])
        for value in settings.values():
            yield from _uris(value)
    elif isinstance(settings, list):
        for value in settings:
            yield from _uris(value)


def suites(study: Study) -> list[tuple[str, str, tuple[str, ...]]]:
    """The suites of the study, each with the hash in the records of its cells, and its tasks."""
    return [
        (name, ", ".join(study.hashes[name]) or "–", suite.tasks)
        for name, suite in study.lock.suites.items()
    ]


def versions(study: Study) -> list[tuple[str, list[str]]]:
    """Versions and hardware, each with all values that occur in the study's stages."""
    found: dict[str, dict[str, None]] = {}
    for stage in study.stages.values():
        record = stage.record
        for key in ("kollama2", "git", "python", "platform", "cpu", "cores", "threads"):
            if (value := getattr(record, key)) is not None:
                found.setdefault(key, {})[visible(str(value))] = None
        if record.memory_bytes:
            found.setdefault("memory", {})[f"{record.memory_bytes / 2**30:.1f} GiB"] = None
        for gpu in record.gpus:
            found.setdefault("gpu", {})[visible(gpu)] = None
        for package, version in record.packages.items():
            found.setdefault(visible(package), {})[visible(version)] = None
    return [(name, list(values)) for name, values in found.items()]
