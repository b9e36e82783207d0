"""The commands that measure models: evaluate and compare."""

import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kollama2.cli.console import (
    STORE,
    JsonOption,
    MirrorsOption,
    OntoOption,
    StoreOption,
    out,
    print_json,
)

if TYPE_CHECKING:
    from rich.table import Table

    from kollama2.evaluation.compare import Compared
    from kollama2.records.done import Evaluation
    from kollama2.study.evaluation import Wanted

SuiteOption = Annotated[
    str | None, typer.Option(help="Name or YAML file of a suite; `quick` by default.")
]
TasksOption = Annotated[
    list[str] | None,
    typer.Option("--task", help="An lm-eval task, instead of a suite. Repeatable."),
]
IncludeOption = Annotated[
    Path | None, typer.Option(help="Folder of your own lm-eval task files; all of them run.")
]
OnlyOption = Annotated[
    list[str] | None,
    typer.Option(help="Only this task of the suite; the suite id changes. Repeatable."),
]
FewshotOption = Annotated[
    int | None,
    typer.Option(min=0, help="Few-shot examples before each item, with --task or --include."),
]
LimitOption = Annotated[
    int | None, typer.Option(min=1, help="Only the first items of each task; the suite id changes.")
]
TemplateOption = Annotated[
    str | None, typer.Option(help="Chat template for all models; by default each model's own.")
]
KeyOption = Annotated[
    str | None,
    typer.Option(help="Environment variable with the API key; OPENAI_API_KEY by default."),
]
ProfileOption = Annotated[Path | None, typer.Option(help="YAML file with the resources to use.")]


@dataclass(frozen=True)
class _How:
    """How models are measured, beside what they are measured on; the options of both commands."""

    store: Path
    mirrors: Path | None
    profile: Path | None
    template: str | None
    onto: str | None
    key: str | None


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    for command in (evaluate, compare):
        app.command()(command)


def evaluate(
    model: Annotated[
        str,
        typer.Argument(
            help="Model folder, GGUF file, hf: id, builtin:miniature, https://host/v1#model."
        ),
    ],
    suite: SuiteOption = None,
    against: Annotated[
        str | None, typer.Option(help="Base model; prints paired differences from it.")
    ] = None,
    task: TasksOption = None,
    include: IncludeOption = None,
    only: OnlyOption = None,
    num_fewshot: FewshotOption = None,
    limit: LimitOption = None,
    template: TemplateOption = None,
    onto: OntoOption = None,
    key: KeyOption = None,
    store: StoreOption = STORE,
    mirrors: MirrorsOption = None,
    profile: ProfileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Score one model on a suite or on lm-eval tasks. Per-item records stay in the store."""
    from kollama2.evaluation.contrast import load_metrics

    wanted = _wanted(suite, task, include, only, num_fewshot, limit)
    how = _How(store, mirrors, profile, template, onto, key)
    if against is not None:
        found = _compared([against, model], wanted, how, base=against)
        _print(found, as_json)
        return
    folder, _ = _measured([model], wanted, how)
    metrics = load_metrics(folder[model])
    if as_json:
        print_json(metrics.scores)
        return
    out().print(_scores(metrics))
    for line in _remarks(model, metrics):
        out().print(line)


def compare(
    models: Annotated[
        list[str],
        typer.Argument(
            help="Models, the base first: as in `evaluate`, or folders of finished evaluations."
        ),
    ],
    suite: SuiteOption = None,
    base: Annotated[
        str | None, typer.Option(help="Model to compare the others with, if not the first.")
    ] = None,
    task: TasksOption = None,
    include: IncludeOption = None,
    only: OnlyOption = None,
    num_fewshot: FewshotOption = None,
    limit: LimitOption = None,
    template: TemplateOption = None,
    onto: OntoOption = None,
    key: KeyOption = None,
    store: StoreOption = STORE,
    mirrors: MirrorsOption = None,
    profile: ProfileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Compare models on one suite.

    Shows paired differences, tiers, and what could not be told apart.
    """
    wanted = _wanted(suite, task, include, only, num_fewshot, limit)
    how = _How(store, mirrors, profile, template, onto, key)
    found = _compared(models, wanted, how, base=base)
    _print(found, as_json)


def _wanted(
    suite: str | None,
    tasks: list[str] | None,
    include: Path | None,
    only: list[str] | None,
    num_fewshot: int | None,
    limit: int | None,
) -> "Wanted":
    from kollama2.study.evaluation import Wanted

    return Wanted(suite, tuple(tasks or ()), include, tuple(only or ()), num_fewshot, limit)


def _measured(models: list[str], wanted: "Wanted", how: _How) -> tuple[dict[str, Path], str]:
    """The folder of each model's finished evaluation, and the measure that ranks them."""
    from kollama2.cli.adapt import compute, under
    from kollama2.errors import BadUsage
    from kollama2.evaluation.endpoint import KEY
    from kollama2.study.evaluation import evaluations

    if how.key is not None and not os.environ.get(how.key):
        raise BadUsage(f"--key names the environment variable {how.key}, which is not set")
    stages = evaluations(
        models,
        wanted,
        store=how.store,
        mirrors=how.mirrors,
        template=how.template,
        onto=how.onto,
        key=how.key or KEY,
    )
    label = f"evaluate {models[0]}" if len(models) == 1 else f"evaluate {len(models)} models"
    folders = compute(list(stages.values()), how.store, how.profile, under(label))
    suite = next(iter(stages.values())).suite
    return dict(zip(stages, folders, strict=True)), suite.primary


def _compared(models: list[str], wanted: "Wanted", how: _How, *, base: str | None) -> "Compared":
    from kollama2.errors import BadUsage
    from kollama2.evaluation.compare import compare
    from kollama2.evaluation.contrast import load_measured

    if base is not None and base not in models:
        models = [base, *models]
    if len(set(models)) < 2:
        raise BadUsage("name at least two different models to compare")
    models = list(dict.fromkeys(models))
    ready = {one: Path(one) for one in models if (Path(one) / "items.jsonl").is_file()}
    rest = [one for one in models if one not in ready]
    folders, primary = ready, ""
    if rest:
        fresh, primary = _measured(rest, wanted, how)
        folders = {**ready, **fresh}
    primary = primary or next(iter(load_measured(ready[models[0]]).items))
    return compare({one: folders[one] for one in models}, primary=primary, base=base)


def _print(found: "Compared", as_json: bool) -> None:
    if as_json:
        print_json(found.to_json())
        return
    for line in _tables(found):
        out().print(line)


def _scores(metrics: "Evaluation") -> "Table":
    from rich.table import Table

    from kollama2.records.measures import measure

    table = Table("measure", "score", "by prompt", "unit", "better")
    for name, value in metrics.scores.items():
        about = measure(name, metrics.measures)
        spread = metrics.by_prompt.get(name)
        told = f"{min(spread):.3f}–{max(spread):.3f}" if spread else ""
        table.add_row(name, f"{value:.3f}", told, about.unit, about.better)
    return table


def _remarks(model: str, metrics: "Evaluation") -> list[str]:
    """What a reader of the scores must know: items left out, failures, degenerate answers."""
    lines = []
    for task, counts in metrics.counts.items():
        told = [
            f"{count} of {counts.items} {words}"
            for count, words in (
                (counts.truncated, "items do not fit the model and are left out"),
                (counts.failed, "answers are empty or broken and count as failures"),
            )
            if count
        ]
        told += metrics.flags.get(task, [])
        lines += [f"{model}, {task}: {one}" for one in told]
    return lines


def _tables(found: "Compared") -> list[Any]:
    from rich.table import Table

    from kollama2.evaluation.inference import FEWEST
    from kollama2.report.texts import Count

    lines: list[Any] = []
    for number, (name, one) in enumerate(found.comparisons.items()):
        about = found.measures[name]
        table = Table(
            "model", "score", f"− {found.base}", "95 %", "p (adjusted)", "MDE", "P(best)",
            "rank", "tier",
            title=f"{name}: {about.title}, {about.unit}, {about.better} is better",
            title_justify="left",
        )  # fmt: skip
        for row in one.standings:
            versus = row.versus_base
            table.add_row(
                row.name,
                f"{row.score:.4f}",
                "" if versus is None else f"{versus.value:+.4f}",
                "" if versus is None else _interval(versus.low, versus.high),
                ""
                if versus is None
                else _known(versus.p_adjusted, ".2g") + ("*" if versus.separable else ""),
                "" if versus is None else _known(versus.mde or math.nan, ".4f"),
                "–" if row.p_best is None else f"{row.p_best:.2f}",
                "–" if row.rank_low is None else f"{row.rank_low}–{row.rank_high}",
                row.tier,
            )
        lines.append(table)
        if number == 0:
            kind = "item uncertainty only" if one.uncertainty == "items only" else "items and seeds"
            lines.append(
                f"suite {found.suite}; {kind}; {Count(one.items):item} in "
                f"{Count(one.clusters):cluster}; {one.resamples:,} draws; models that share a "
                "letter are not separable; MDE: the least true difference that 80 % of "
                "repetitions would find"
            )
    few = [name for name, one in found.comparisons.items() if one.clusters < FEWEST]
    if few:
        lines.append(
            f"fewer than {FEWEST} independent items are too few for intervals and a verdict: "
            + ", ".join(few)
        )
    lines += [line for name in found.comparisons for line in _doubts(found, name)]
    if found.undirected:
        names = ", ".join(found.undirected)
        lines.append(f"not compared, since nobody declares which direction is better: {names}")
    lines.append(_columns(found))
    for name, model in found.models.items():
        lines += _remarks(name, model.metrics)
    return lines


def _known(value: float, digits: str) -> str:
    return "–" if math.isnan(value) else format(value, digits)


def _interval(low: float, high: float) -> str:
    return "–" if math.isnan(low) else rf"\[{low:+.4f}, {high:+.4f}]"


def _doubts(found: "Compared", name: str) -> list[str]:
    """Which scores of a measure are no better than guessing, and which order the prompt decides."""
    from kollama2.evaluation.statistics import turned

    comparison = found.comparisons[name]
    guessed = [
        row.name
        for row in comparison.standings
        if row.low <= found.models[row.name].metrics.chance.get(name, math.inf) <= row.high
    ]
    lines = []
    if guessed:
        lines.append(f"{name}: not separable from guessing: {', '.join(guessed)}")
    prompts = {
        row.name: scores
        for row in comparison.standings
        if (scores := found.models[row.name].metrics.by_prompt.get(name))
    }
    if pairs := turned(comparison.pairs, prompts):
        both = ", ".join(f"{pair.left} and {pair.right}" for pair in pairs)
        lines.append(f"{name}: separable, but the other way round under one of the prompts: {both}")
    return lines


def _columns(found: "Compared") -> "Table":
    """What each model is: size, how its tokenizer cuts, what measuring it took."""
    from rich.table import Table

    table = Table(
        "model", "parameters", "bytes/token ko", "en", "characters of Korean in context", "seconds"
    )
    for name, model in found.models.items():
        metrics = model.metrics
        ko, en = metrics.tokenizer.get("ko"), metrics.tokenizer.get("en")
        size, seconds = metrics.parameters, metrics.seconds
        table.add_row(
            name,
            f"{size / 1e6:,.1f} M" if size else "",
            f"{ko.bytes_per_token:.2f}" if ko else "",
            f"{en.bytes_per_token:.2f}" if en else "",
            f"{ko.context_characters:,.0f}" if ko else "",
            f"{sum(seconds.values()):,.0f}" if seconds else "",
        )
    return table
