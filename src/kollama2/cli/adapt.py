"""What `adapt` and `evaluate` do beside a study: one stage, one export."""

import shlex
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from kollama2.engine.profile import Profile
    from kollama2.engine.stage import Stage
    from kollama2.study.adapt import Adaptation

SMALL = {"micro_batch_tokens": 1024}
"""On a CPU, where a larger one takes more memory and is no faster."""


def compute_one(stage: "Stage", store: Path, profile: Path | None, label: str) -> Path:
    """Compute one stage and what it needs, told under one label; as `compute`."""
    return compute([stage], store, profile, under(label))[0]


def for_one(profile: Path | None) -> "Profile":
    """The profile of a file, or all cores that are idle now for one stage at a time.

    Threads that wait for each other on busy cores are many times slower than one.
    """
    import psutil

    from kollama2.cli.study import load_profile
    from kollama2.engine.profile import Profile, Resources
    from kollama2.engine.provenance import gpu_names

    if profile is not None:
        return load_profile(profile, None)
    cores = psutil.cpu_count(logical=False) or 1
    idle = cores - round(psutil.getloadavg()[0])
    found = Resources(threads=max(1, idle), **({} if gpu_names() else SMALL))
    return Profile(jobs=1, default=found)


def train(made: "Adaptation", store: Path, machine: "Profile", label: str) -> Path:
    """Compute a model, having said what it will cost; as `compute`.

    The sources come first: what they hold is counted by the base's own tokenizer.
    """
    from kollama2.cli.console import talk
    from kollama2.cli.plan import cost_line, cost_of
    from kollama2.engine.graph import closure, plan
    from kollama2.engine.store import Store
    from kollama2.stages import Encode, Source
    from kollama2.study.sample import sampled

    sources = [one for one in closure(made.stage).values() if isinstance(one, Source)]
    compute(sources, store, machine, under(label))
    kept = Store(store)
    left = plan([made.stage], kept)
    talk().print(cost_line(cost_of(left, kept, machine)))
    for one in left.todo:
        if isinstance(one, Encode) and (found := sampled(one, kept)) and found["cut"]:
            talk().print(
                f"about {found['cut'] / found['rows']:.0%} of the rows are longer than max_length "
                f"({one.max_length}) and will be cut; --set max_length=… takes another"
            )
    if made.dtypes:
        talk().print(f"arithmetic: {', '.join(made.dtypes)}; --set dtype=… takes another")
    return compute([made.stage], store, machine, under(label))[0]


def under(label: str) -> "Callable[[str], str]":
    """How the stages of one piece of work are called: its label, and the kind of the stage."""
    return lambda name: f"{label}: {name.split('-')[0]}"


def compute(
    stages: "Sequence[Stage]",
    store: Path,
    profile: "Path | Profile | None",
    told: "Callable[[str], str]",
) -> list[Path]:
    """Compute stages and what they need, with a display; returns their folders.

    Args:
        stages: what is asked for.
        store: where results are kept.
        profile: the machine's size, or the YAML file that says it; None: as it is found.
        told: how a stage is called before people, from its name.

    Raises:
        Fault: a stage or one of its inputs failed, with the sentence of the first one.
    """
    from kollama2.cli.study import launch, load_profile, warn
    from kollama2.engine.failure import fault_of
    from kollama2.engine.graph import plan
    from kollama2.engine.profile import Profile
    from kollama2.engine.store import Store
    from kollama2.errors import Corrupt

    kept = Store(store)
    machine = profile if isinstance(profile, Profile) else load_profile(profile, None)
    said: list[str] = []
    for again in (True, False):
        todo = plan(stages, kept)
        said = warn(todo, store, said)
        outcome = launch(todo, store, machine, told)
        warn(todo, store, said)  # what nobody knew before the rows were read
        if outcome.failed:
            first, *others = outcome.failed.values()
            more = f" (and {len(others)} more, told above)" if others else ""
            raise fault_of(outcome.exit_code, first + more)
        try:
            return [kept.input(stage) for stage in stages]
        except Corrupt:
            # It is moved aside and said; twice the same means that the disk is damaged.
            if not again or all(kept.record(stage) is not None for stage in stages):
                raise
    raise AssertionError("the second time returns or raises")


def next_steps(output: Path) -> list[str]:
    """Commands to talk to a new model, to measure it and to take it away, where it can go."""
    from kollama2.errors import Fault
    from kollama2.llama.convert import check_meta
    from kollama2.model.folder import ModelFolder

    name, folder = shlex.quote(str(output)), ModelFolder.read(output)
    spoken = folder.template not in (None, "plain")
    steps = [
        f"kollama2 chat {name}" if spoken else f'kollama2 complete {name} --raw "안녕하세요"',
        f"kollama2 evaluate {name} --suite quick",
    ]
    try:
        check_meta(output)
    except Fault:  # it has nowhere else to go
        return steps
    return [*steps, f"kollama2 convert {name} --to meta -o {shlex.quote(f'{output}-meta')}"]


def export(model: Path, output: Path, onto: Path | None = None) -> None:
    """A standalone model folder: an adapter is merged onto its base, whole weights are copied.

    `onto` is the model from before an adapter's vocabulary grew, in the place of its base.
    """
    from kollama2.engine.commit import committing
    from kollama2.model.folder import ModelFolder, is_adapter
    from kollama2.model.write import merge
    from kollama2.train.onto import before_growth, merge_onto

    with committing(output) as partial:
        if is_adapter(model):
            if onto is not None and before_growth(ModelFolder.read(model, onto)):
                merge_onto(model, onto, partial)
            else:
                merge(model, partial, onto)
        else:
            shutil.copytree(model, partial, dirs_exist_ok=True)
