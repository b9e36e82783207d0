"""Frontier: what can be had from models at hand without any training."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rich.console import RenderableType
from rich.table import Table

from kollama2.api.adapt import named
from kollama2.api.checked import checked
from kollama2.api.compute import Progress, compute, machine, note, silent, under
from kollama2.api.pareto import Point, check, draw, points
from kollama2.api.places import mirrors_at, store_at
from kollama2.api.shown import WIDTH, Shown
from kollama2.engine.profile import Profile
from kollama2.errors import BadUsage, storage
from kollama2.evaluation.contrast import load_metrics
from kollama2.locale import say
from kollama2.model.folder import ModelFolder
from kollama2.stages.source import content
from kollama2.study.frontier import combinations


@dataclass(frozen=True)
class Frontier(Shown):
    """Every free merge of some models, and which of them no other beats in both languages.

    Attributes:
        points: what each gains in Korean and loses in English, the largest gain first.
        scores: by model and measure.
        gaps: the relative gap of each pair of models; beyond a few per cent their differences do
            not transfer.
        primary: the Korean measure.
        english: the English one.
    """

    points: tuple[Point, ...]
    scores: Mapping[str, Mapping[str, float]] = field(repr=False)
    gaps: Mapping[str, float]
    primary: str
    english: str

    def draw(self, path: str | Path) -> None:
        """Write a picture: Korean gain against English loss, a line through the best.

        Args:
            path: a file that ends in .svg, .png or .html; the page works offline.

        Raises:
            BadUsage: it ends otherwise.
            Denied, StorageTrouble: it cannot be written.
        """
        picture = Path(path)
        check(picture)
        with storage(picture):
            draw(self.points, self.primary, self.english, picture)

    def plain(self) -> dict[str, Any]:
        """Everything as plain values, as `--json` prints it."""
        rows = [{**asdict(point), "scores": self.scores[point.name]} for point in self.points]
        return {"gaps": self.gaps, "points": rows}

    def rows(self) -> list[dict[str, Any]]:
        """One row a model."""
        return [asdict(point) for point in self.points]

    def rendered(self, width: int = WIDTH) -> list[RenderableType]:
        """Gain and loss of each model; the best ones have a star."""
        korean = say("Korean gain ({measure})", measure=self.primary)
        english = say("English loss ({measure})", measure=self.english)
        table = Table("", say("model"), korean, english)
        for one in self.points:
            gain, loss = f"{one.korean_gain:+.1%}", f"{one.english_loss:+.1%}"
            table.add_row("★" if one.best else "", one.name, gain, loss)
        told = "★ no other model gains as much Korean for less English; single scores, no interval"
        return [table, told]


@checked
def frontier(
    base: str | Path | ModelFolder,
    korean: str | Path | ModelFolder,
    *,
    chat: str | Path | ModelFolder | None = None,
    instruct: str | Path | ModelFolder | None = None,
    suite: str | Path = "quick",
    template: str = "own",
    store: str | Path | None = None,
    mirrors: str | Path | None = None,
    profile: str | Path | Profile | None = None,
    progress: Progress | None = None,
) -> Frontier:
    """Evaluate every merge of models, and mark the best trade-offs.

    Args:
        base: the model from which all others were made.
        korean: the base after Korean pre-training.
        chat: the chat model that was made from the base.
        instruct: the Korean model after instruction tuning.
        suite: name or YAML file of a suite with an English measure.
        template: chat template for the merged models; `own`: each one's own.
        store: folder of the results; None: that of `KOLLAMA2_STORE`, else `runs`.
        mirrors: YAML file that maps `hf:` ids to local copies; None: that of `KOLLAMA2_MIRRORS`.
        profile: the machine's size, or the YAML file that says it; None: one stage a core.
        progress: called with each event, in this thread; None: nothing is told.

    Returns:
        The models with what they gain and lose against the base.

    Raises:
        Fault: a model or the suite does not exist or does not fit, or a stage failed.
    """
    place, tell, size = store_at(store), progress or silent, machine(profile)
    evaluations, pairs = combinations(
        named(base),
        named(korean),
        chat=None if chat is None else named(chat),
        instruct=None if instruct is None else named(instruct),
        suite=str(suite),
        template=template,
        store=place,
        mirrors=mirrors_at(mirrors),
    )
    stages = list(evaluations.values())
    asked = stages[0].suite
    if asked.english is None:
        raise BadUsage(f"the suite '{suite}' has no English measure; the frontier needs one")
    from kollama2.train.merging.merge import gap

    gaps = {}
    for name, pair in pairs.items():
        first, second = map(content, compute(pair, place, machine(None), under("frontier"), tell))
        gaps[name] = gap(first, second)
    for name, value in gaps.items():
        note(tell, f"relative gap of {name}: {value:.2%}")
    labels = {stage.model.name: f"weights of {name}" for name, stage in evaluations.items()}
    labels |= {stage.name: name for name, stage in evaluations.items()}
    folders = compute(stages, place, size, lambda stage: labels.get(stage, stage), tell)
    scores = {
        name: load_metrics(folder).scores for name, folder in zip(evaluations, folders, strict=True)
    }
    found = tuple(points(scores, asked.primary, asked.english))
    return Frontier(found, scores, gaps, asked.primary, asked.english)
