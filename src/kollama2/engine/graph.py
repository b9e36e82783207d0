"""The graph: which stages the targets need, and the loop that has them computed in order."""

import queue
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from graphlib import TopologicalSorter
from typing import Any, Literal, Protocol

from kollama2.engine.progress import Tell
from kollama2.engine.stage import Stage
from kollama2.engine.stage import closure as closure
from kollama2.engine.store import Store, say_damage
from kollama2.errors import Corrupt, Fault, Missing, TryLater
from kollama2.records.done import Done


@dataclass(frozen=True)
class StageEvent:
    """Something that happened to a stage, for the display."""

    what: Literal["launching", "waiting", "started", "progress", "finished", "failed", "blocked"]
    stage: Stage
    figures: dict[str, Any] = field(default_factory=dict)
    """launching: nothing, but the first may take seconds, while the training stack is imported;
    waiting: holder; progress: done, total, unit, seconds, …; finished: the record;
    failed: message; blocked: by (the name of the stage that failed)."""


class Launch(Protocol):
    """Has one stage computed somewhere and blocks until its folder is there."""

    def __call__(self, stage: Stage, tell: Tell, stop: threading.Event) -> Done:
        """Return the record; raise a Fault if the stage fails; give up soon after `stop` is set."""


@dataclass(frozen=True)
class Plan:
    """What the targets need: every stage once, inputs before what needs them."""

    targets: tuple[Stage, ...]
    stages: tuple[Stage, ...]
    cached: frozenset[str]
    """Names of the stages that are finished."""
    todo: tuple[Stage, ...]
    """The stages to compute, in a possible order."""
    saved: int
    """Stages that would be computed again if no two targets shared anything."""

    @property
    def preload(self) -> tuple[str, ...]:
        """The modules that workers of the stages to compute want imported ahead."""
        waiting = [stage for stage in self.todo if not stage.inline]
        return tuple(sorted({m for one in waiting for m in (type(one).__module__, *one.preload)}))


@dataclass(frozen=True)
class RunOutcome:
    """What became of the stages of one call of `run`, by name."""

    computed: tuple[str, ...]
    cached: tuple[str, ...]
    failed: dict[str, str]
    """Name to the sentence that says why."""
    blocked: dict[str, str]
    """Not tried: name to the failed stage it waits for."""
    exit_code: int
    """0, or the code of the first failure."""


def plan(targets: Iterable[Stage], store: Store) -> Plan:
    """What computing these targets means. Nothing is computed or changed.

    A target that is finished needs nothing. One that is not needs all stages it is made of, because
    a result may point back into any of them (an adapter into its base model).
    """
    wanted = tuple({stage.name: stage for stage in targets}.values())
    closures = [closure(stage) for stage in wanted]
    stages = {name: stage for each in closures for name, stage in each.items()}
    cached = {name for name, stage in stages.items() if store.record(stage) is not None}
    needed = {
        name
        for target, each in zip(wanted, closures, strict=True)
        if target.name not in cached
        for name in each
    }
    return Plan(
        targets=wanted,
        stages=tuple(stages.values()),
        cached=frozenset(cached),
        todo=tuple(stages[name] for name in stages if name in needed - cached),
        saved=sum(map(len, closures)) - len(stages),
    )


def run(
    targets: Iterable[Stage],
    store: Store,
    launch: Launch,
    jobs: int = 1,
    watch: Callable[[StageEvent], None] = lambda event: None,
) -> RunOutcome:
    """Have everything computed that the targets need and the store lacks.

    A failing stage stops only what depends on it; calling again resumes. A finished stage that is
    found damaged when another reads it is computed again first.

    Args:
        targets: the stages that are wanted.
        store: where results lie.
        launch: how a stage is computed; stages that are `inline` are computed right here.
        jobs: stages at a time.
        watch: receives every event, in the calling thread.

    Raises:
        KeyboardInterrupt: after the workers were stopped; everything can be resumed.
    """
    todo = plan(targets, store)
    loop = _Loop(store, launch, watch)
    return loop.run(todo, jobs)


def inline(store: Store) -> Launch:
    """A launcher that computes stages one after another in this process."""

    def launch(stage: Stage, tell: Tell, stop: threading.Event) -> Done:
        return store.compute(stage, tell=tell)

    return launch


class _Loop:
    """One call of `run`: threads launch, this thread decides and shows."""

    def __init__(self, store: Store, launch: Launch, watch: Callable[[StageEvent], None]) -> None:
        self._store, self._launch, self._watch = store, launch, watch
        self._news: queue.SimpleQueue[StageEvent | tuple[Stage, Future[Done]]] = queue.SimpleQueue()
        self._stop = threading.Event()
        self._computed: list[str] = []
        self._failed: dict[str, str] = {}
        self._blocked: dict[str, str] = {}
        self._exit_code = 0

    def run(self, todo: Plan, jobs: int) -> RunOutcome:
        by_name = {stage.name: stage for stage in todo.stages}
        waiting = {stage.name for stage in todo.todo}
        sorter = TopologicalSorter(
            {s.name: [needed.name for needed in s.inputs()] for s in todo.stages}
        )
        sorter.prepare()
        running = 0
        with ThreadPoolExecutor(max_workers=max(1, jobs)) as pool:
            try:
                # `done` may make stages ready though nothing runs, so both are looked at.
                while (ready := sorter.get_ready()) or running:
                    for name in ready:
                        if name not in waiting or self._is_blocked(by_name[name]):
                            sorter.done(name)
                        else:
                            self._submit(pool, by_name[name])
                            running += 1
                    if running and not ready:
                        finished = self._next_finished()
                        running -= 1
                        sorter.done(finished)
            finally:
                self._stop.set()  # only after an interrupt is anything still running
                pool.shutdown(cancel_futures=True)
        cached = tuple(name for name in by_name if name in todo.cached)
        return RunOutcome(
            tuple(self._computed), cached, self._failed, self._blocked, self._exit_code
        )

    def _is_blocked(self, stage: Stage) -> bool:
        for needed in stage.inputs():
            cause = self._blocked.get(needed.name)
            if needed.name in self._failed or cause:
                self._blocked[stage.name] = cause or needed.name
                self._watch(StageEvent("blocked", stage, {"by": cause or needed.name}))
                return True
        return False

    def _submit(self, pool: ThreadPoolExecutor, stage: Stage) -> None:
        def tell(what: str, figures: dict[str, Any]) -> None:
            if stage.inline and self._stop.is_set():
                raise TryLater(f"{stage.name} was interrupted")
            if what == "damaged":
                say_damage(what, figures)
            else:
                self._news.put(StageEvent(what, stage, figures))  # type: ignore[arg-type]

        pool.submit(self._compute, stage, tell).add_done_callback(
            lambda future: self._news.put((stage, future))
        )

    def _compute(self, stage: Stage, tell: Tell) -> Done:
        """Compute a stage, and first again whatever it finds damaged among what it is made of."""

        def launch() -> Done:
            if stage.inline:
                return self._store.compute(stage, tell=tell)
            return self._launch(stage, tell, self._stop)

        inputs = [one for one in closure(stage).values() if one != stage]
        said: set[str] = set()
        while True:
            try:
                return launch()
            except (Corrupt, Missing) as fault:  # missing: another stage just found the damage
                damaged = [one for one in inputs if one.name in str(fault)]
                if not damaged or str(fault) in said:  # twice the same: the disk is damaged
                    raise
                said.add(str(fault))
                for one in damaged:
                    if self._store.record(one) is None:
                        self._compute(one, tell)

    def _next_finished(self) -> str:
        """Show what happens until a stage ends, and return its name."""
        while True:
            try:
                news = self._news.get(timeout=0.5)  # wakes up for Ctrl-C on every platform
            except queue.Empty:
                continue
            if isinstance(news, StageEvent):
                self._watch(news)
                continue
            stage, future = news
            self._settle(stage, future)
            return stage.name

    def _settle(self, stage: Stage, future: "Future[Done]") -> None:
        error = future.exception()
        if error is None:
            self._computed.append(stage.name)
            self._watch(StageEvent("finished", stage, future.result().plain()))
            return
        if not isinstance(error, Fault):
            raise error
        self._failed[stage.name] = str(error)
        self._exit_code = self._exit_code or error.exit_code
        self._watch(StageEvent("failed", stage, {"message": str(error)}))
