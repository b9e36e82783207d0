"""The mixtures of a study's curricula over progress, and what its data hold that nobody meant."""

from collections.abc import Iterable, Iterator, Sequence

from rich.table import Table

from kollama2.data.curriculum import preview
from kollama2.engine.stage import Stage
from kollama2.engine.store import Store
from kollama2.locale import say
from kollama2.stages import Encode, Order, Prefer, Train
from kollama2.study.repeats import repeats

_BLOCKS = " ▁▂▃▄▅▆▇█"
_DECAYING = ("linear", "cosine")


def drawings(stages: Iterable[Stage]) -> Iterator[Table]:
    """A drawing for each curriculum in which the mixture changes; equal ones are drawn once."""
    seen = set()
    for stage in stages:
        if not isinstance(stage, Order) or not changes(stage):
            continue
        look = (stage.names, stage.knots, stage.order)
        if look not in seen:
            seen.add(look)
            yield drawing(stage)


def changes(stage: Order) -> bool:
    """Whether the order of the rows means anything."""
    varies = any(knot.shares != stage.knots[0].shares for knot in stage.knots)
    return stage.order != "shuffled" and (varies or stage.difficulty is not None)


def drawing(stage: Order) -> Table:
    """Each source a line: its share of the text from the beginning to the end of the training."""
    mixture = preview(stage.curriculum, stage.order)
    by = say(", by {difficulty}", difficulty=stage.difficulty) if stage.difficulty else ""
    table = Table(say("source"), say("share over progress"), say("in all"),
                  title=f"{stage.order}{by}", title_justify="left")  # fmt: skip
    for name, column, total in zip(stage.names, mixture.T, stage.curriculum.totals(), strict=True):
        bars = "".join(_BLOCKS[min(8, round(8 * float(share)))] for share in column)
        table.add_row(name, bars, f"{total:.0%}")
    return table


def warnings(stages: Sequence[Stage], store: Store) -> list[str]:
    """One sentence for each thing that a person may not have meant.

    Fading rates, repeated data and, once rows are encoded, those left out and templates not meant.
    """
    return [*fading(stages), *repeats(stages, store), *encoded(stages, store)]


def encoded(stages: Iterable[Stage], store: Store) -> list[str]:
    """What encoding the rows of a study left out, cut off, or addressed by another's template."""
    found = list[str]()
    add = found.append
    for stage in stages:
        record = store.record(stage) if isinstance(stage, Encode | Prefer) else None
        if record is None:
            continue
        metrics = record.metrics
        names = ", ".join(one["path"] for one in metrics["sources"])
        counts = metrics["counts"]
        if counts.get("rejected"):
            why = "; ".join(f"{n} x {reason}" for reason, n in metrics["reasons"].items())
            some = {"count": counts["rejected"], "total": counts["in"], "why": why}
            add(say("{names}: {count} of {total:row} rejected ({why})", names=names, **some))
        if cut := counts.get("answers cut"):
            most = str(metrics["max_length"])
            add(
                say(
                    "{names}: answers of {count:row} are cut at {most} tokens (max_length)",
                    names=names,
                    count=cut,
                    most=most,
                )
            )
        if cut := counts.get("prompts cut"):
            most = str(metrics["max_length"])
            add(
                say(
                    "{names}: prompts of {count:row} are cut from the left, so that they fit in "
                    "{most} tokens with their answers (max_length)",
                    names=names,
                    count=cut,
                    most=most,
                )
            )
        if metrics.get("substituted"):
            add(
                say(
                    "the base has no chat template, so {template} takes its place; name another "
                    "template if that is not meant",
                    template=metrics["template"],
                )
            )
    return list(dict.fromkeys(found))


def fading(stages: Iterable[Stage]) -> list[str]:
    """One sentence for each kind of curriculum whose learning rate has faded when its end comes."""
    found = {
        say(
            "{order} data with a {schedule} schedule: the rate is near zero when the last rows "
            "come, which takes away what a curriculum gives (arXiv 2511.18903); use constant or "
            "wsd",
            order=stage.rows.order,
            schedule=stage.settings.schedule,
        )
        for stage in stages
        if isinstance(stage, Train)
        and isinstance(stage.rows, Order)
        and changes(stage.rows)
        and stage.settings.schedule in _DECAYING
    }
    return sorted(found)
