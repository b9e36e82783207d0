"""The mixtures of a study's curricula over progress, and what its data hold that nobody meant."""

from collections.abc import Iterable, Iterator, Sequence

from rich.table import Table

from kollama2.data.curriculum import preview
from kollama2.engine.stage import Stage
from kollama2.engine.store import Store
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
    by = f", by {stage.difficulty}" if stage.difficulty else ""
    table = Table("source", "share over progress", "in all", title=f"{stage.order}{by}",
                  title_justify="left")  # fmt: skip
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
    found = dict[str, None]()
    for stage in stages:
        record = store.record(stage) if isinstance(stage, Encode | Prefer) else None
        if record is None:
            continue
        metrics = record.metrics
        names = ", ".join(one["path"] for one in metrics["sources"])
        counts = metrics["counts"]
        if counts.get("rejected"):
            why = "; ".join(f"{n} x {reason}" for reason, n in metrics["reasons"].items())
            found[f"{names}: {counts['rejected']} of {counts['in']} rows rejected ({why})"] = None
        if cut := counts.get("answers cut"):
            longest = metrics["max_length"]
            found[f"{names}: answers of {cut} rows are cut at {longest} tokens (max_length)"] = None
        if cut := counts.get("prompts cut"):
            longest = metrics["max_length"]
            found[f"{names}: prompts of {cut} rows are cut from the left, so that they end in "
                  f"{longest} tokens with their answers (max_length)"] = None  # fmt: skip
        if metrics.get("substituted"):
            template = metrics["template"]
            found[f"the base has no chat template, so {template} takes its place; name another "
                  "template"] = None  # fmt: skip
    return list(found)


def fading(stages: Iterable[Stage]) -> list[str]:
    """One sentence for each kind of curriculum whose learning rate has faded when its end comes."""
    found = {
        f"{stage.rows.order} data with a {stage.settings.schedule} schedule: the rate is near zero "
        "when the last rows come, which takes away what a curriculum gives (arXiv 2511.18903); use "
        "constant or wsd"
        for stage in stages
        if isinstance(stage, Train)
        and isinstance(stage.rows, Order)
        and changes(stage.rows)
        and stage.settings.schedule in _DECAYING
    }
    return sorted(found)
