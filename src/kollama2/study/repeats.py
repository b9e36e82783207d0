"""Repeats: budgets larger than what they are taken from, said before anything is trained."""

from collections.abc import Iterable, Iterator, Sequence

from kollama2.engine.stage import Stage
from kollama2.engine.store import Store
from kollama2.locale import say
from kollama2.stages import Derive, Encode, Train
from kollama2.stages.costly import bytes_at_hand


def repeats(stages: Iterable[Stage], store: Store) -> list[str]:
    """One sentence for each source of which a training wants more than there is.

    Exact where the rows are encoded already; a file on this machine has at most its size in text,
    so the rows are learned at least as often as it says. Of sources elsewhere nothing is known.
    """
    found: dict[tuple[str, str, str, bool, bool], float] = {}
    for stage in stages:
        if not isinstance(stage, Train):
            continue
        for rows, wanted, korean in _wanted(stage):
            holds, exact = _holds(rows, store, korean=korean)
            if holds and wanted > holds:
                names = ", ".join(part.source.uri for part in rows.data)
                what = names, _size(wanted), _size(holds), korean, exact
                found[what] = max(found.get(what, 0.0), wanted / holds)
    return [_sentence(*what, times) for what, times in sorted(found.items())]


def _sentence(names: str, wanted: str, holds: str, korean: bool, exact: bool, times: float) -> str:
    values = {"names": names, "wanted": wanted, "holds": holds, "times": times}
    values["kind"] = say("Hangul") if korean else say("text")
    if exact:
        return say(
            "{names}: {wanted} of {kind} are wanted and {holds} are there; about {times:.1f} "
            "epochs",
            **values,
        )
    return say(
        "{names}: {wanted} of {kind} are wanted and at most {holds} are there; at least "
        "{times:.1f} epochs",
        **values,
    )


def _wanted(stage: Train) -> Iterator[tuple[Encode, float, bool]]:
    """Encoded rows, how many bytes of them are wanted, and whether Hangul is counted."""
    settings, rows = stage.settings, stage.rows
    if isinstance(rows, Encode):
        if settings.korean_bytes or settings.bytes:
            korean = settings.korean_bytes is not None
            yield rows, float(settings.korean_bytes or settings.bytes or 0), korean
        return
    # Hangul is shared out by what the sources hold of it, which is not known before.
    if rows.bytes is not None and rows.mix_by == "bytes":
        for one, share in zip(rows.rows, rows.curriculum.totals(), strict=True):
            yield one, float(share) * rows.bytes, False


def _holds(rows: Encode, store: Store, *, korean: bool) -> tuple[int, bool]:
    """Bytes that there are, 0 where nobody knows, and whether they were counted."""
    record = store.record(rows)
    if record is not None:
        return int(record.metrics["ko_bytes" if korean else "bytes"]), True
    # What is made of pairs may be longer than they are, and one of two aligned files is not all.
    if any(isinstance(one, Derive) or one.form == "pairs" for one in rows.sources):
        return 0, False
    return bytes_at_hand(rows.sources) or 0, False


def _size(size: float) -> str:
    units: Sequence[tuple[float, str]] = ((1e9, "GB"), (1e6, "MB"), (1e3, "KB"))
    for unit, name in units:
        if size >= unit:
            return f"{size / unit:.3g} {name}"
    return f"{size:.0f} bytes"
