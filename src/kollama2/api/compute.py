"""Compute: has stages computed on this machine, and tells whoever asked what happens."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from kollama2.api.mixtures import warnings
from kollama2.engine import graph
from kollama2.engine.document import Document
from kollama2.engine.failure import fault_of
from kollama2.engine.launch import local
from kollama2.engine.profile import Profile
from kollama2.engine.stage import Stage
from kollama2.engine.store import Store
from kollama2.errors import Corrupt
from kollama2.locale import say


@dataclass(frozen=True)
class Event:
    """Something that happens while stages are computed; `progress` is called with each.

    Attributes:
        what: `planned` comes before a group of stages is computed and `ended` after it; a
            `warning` or `note` is for people; the others are about one stage.
        stage: the name of its folder in the store.
        label: what a person calls it, such as `finetune lora`.
        figures: planned: total, the number of stages; warning and note: message; waiting: holder;
            progress: done, total, unit, seconds, …; finished: the record of the stage; failed:
            message; blocked: by, the label of the stage that failed.
    """

    what: Literal[
        "planned", "launching", "waiting", "started", "progress", "finished", "failed", "blocked",
        "ended", "warning", "note",
    ]  # fmt: skip
    stage: str = ""
    label: str = ""
    figures: Mapping[str, Any] = field(default_factory=dict)


Progress = Callable[[Event], None]


def silent(event: Event) -> None:
    """The progress of who wants to hear of none."""


def note(progress: Progress, message: str) -> None:
    """Tell a sentence for people."""
    progress(Event("note", figures={"message": message}))


def machine(profile: str | Path | Profile | None, jobs: int | None = None) -> Profile:
    """The profile of a file, or this machine's: one stage a core, one thread each."""
    if not isinstance(profile, Profile):
        profile = Document(Path(profile)).read(Profile) if profile else Profile()
    return profile.model_copy(update={"jobs": jobs}) if jobs else profile


def launch(
    todo: graph.Plan,
    store: Store,
    profile: Profile,
    labels: Callable[[str], str],
    progress: Progress,
) -> graph.RunOutcome:
    """Have the local launcher compute a plan.

    What a person may not have meant is told before and after, since some of it nobody knows before
    the rows are counted; `once` leaves out what was told already.

    `labels` tells what a person calls a stage, by the name of its folder.
    """

    def watch(event: graph.StageEvent) -> None:
        figures = event.figures
        if event.what == "blocked":
            figures = {"by": labels(figures["by"])}
        progress(Event(event.what, event.stage.name, labels(event.stage.name), figures))

    warn(todo, store, progress)
    if not todo.todo:
        outcome = graph.run(todo.targets, store, graph.inline(store))
    else:
        progress(Event("planned", figures={"total": len(todo.todo)}))
        workers = local(store, profile, preload=todo.preload)
        try:
            outcome = graph.run(todo.targets, store, workers, profile.jobs, watch)
        finally:
            progress(Event("ended"))
    warn(todo, store, progress)
    return outcome


def warn(todo: graph.Plan, store: Store, progress: Progress) -> None:
    """Tell what a person may not have meant."""
    for message in warnings(todo.stages, store):
        progress(Event("warning", figures={"message": message}))


def once(progress: Progress) -> Progress:
    """The same, but a warning that was told is not told again."""
    said: set[str] = set()

    def tell(event: Event) -> None:
        if event.what == "warning":
            if event.figures["message"] in said:
                return
            said.add(event.figures["message"])
        progress(event)

    return tell


def under(label: str) -> Callable[[str], str]:
    """How the stages of one piece of work are called: its label, and the kind of the stage."""
    return lambda name: f"{label}: {name.split('-')[0]}"


def compute(
    stages: Sequence[Stage],
    store: Path,
    profile: Profile,
    labels: Callable[[str], str],
    progress: Progress = silent,
) -> list[Path]:
    """Compute stages and what they need; returns their folders. Arguments as those of `launch`.

    Raises:
        Fault: a stage or one of its inputs failed, with the sentence of the first one.
    """
    kept, progress = Store(store), once(progress)
    for again in (True, False):
        outcome = launch(graph.plan(stages, kept), kept, profile, labels, progress)
        must_succeed(outcome)
        try:
            return [kept.input(stage) for stage in stages]
        except Corrupt:
            # It is moved aside and said; twice the same means that the disk is damaged.
            if not again or all(kept.record(stage) is not None for stage in stages):
                raise
    raise AssertionError("the second time returns or raises")


def must_succeed(outcome: graph.RunOutcome) -> None:
    """Raise the fault of the first stage that failed, if one did."""
    if outcome.failed:
        first, *others = outcome.failed.values()
        more = say(" (and {count} more)", count=len(others)) if others else ""
        raise fault_of(outcome.exit_code, first + more)
