"""What a report shows beside its figures: sample answers, data, costs, versions."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from kollama2.errors import visible
from kollama2.records.read import Json, read
from kollama2.reporting.board import Leaderboard
from kollama2.reporting.study import TRAINING, Sample, Study, samples

PROMPTS = 24  # that a page shows
ROWS = ("in", "kept", "rejected")


def sample_answers(
    study: Study, recipes: Sequence[str]
) -> tuple[list[tuple[Sample, list[tuple[str, Sample | None]]]], int, str]:
    """The answers of all recipes side by side; each recipe speaks with its first seed.

    Returns:
        The prompts that a page shows, each with the answer of every recipe, or None; out of how
        many; and the seeds whose models answered.
    """
    found: dict[tuple[str, str], dict[str, Sample]] = {}
    seeds: set[int] = set()
    for recipe in recipes:
        for cell in study.first(recipe):
            seeds.add(cell.seed)
            for sample in samples(study, cell):
                found.setdefault((sample.task, sample.item), {}).setdefault(recipe, sample)
    shown = [
        (next(iter(answers.values())), [(recipe, answers.get(recipe)) for recipe in recipes])
        for answers in _spread(found)[:PROMPTS]
    ]
    return shown, len(found), ", ".join(map(str, sorted(seeds))) or "–"


def _spread(found: dict[tuple[str, str], dict[str, Sample]]) -> list[dict[str, Sample]]:
    """Prompts in turn from each task, so that a long task does not hide the others."""
    seen: Counter[str] = Counter()
    turns = []
    for (task, _), answers in found.items():
        turns.append((seen[task], answers))
        seen[task] += 1
    return [answers for _, answers in sorted(turns, key=lambda turn: turn[0])]


def missing_states(study: Study, recipe: str) -> list[tuple[str, int]]:
    """How many cells of a recipe failed or were not computed."""
    states = Counter(cell.state for cell in study.of(recipe) if not cell.done)
    return sorted(states.items())


def costs(study: Study, board: Leaderboard) -> list[Json]:
    """The cost of every recipe and what depends on the machine, in the order of the leaderboard."""
    return [{"cost": row.cost, **_spent(study, row.recipe)} for row in board.rows]


def _spent(study: Study, recipe: str) -> Json:
    """Means over seeds; `loss` is that of the last training, over its last tenth."""
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
    return {
        "recipe": recipe,
        "loss": _mean(losses),
        "training": _mean(training),
        "evaluation": _mean(evaluation),
        "memory": _mean(memory),
    }


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
