"""Sentences that the statistics allow: who leads, what cannot be told apart, what went wrong."""

from collections.abc import Mapping, Sequence

from kollama2.report.board import Estimate, Row, Standing
from kollama2.report.contrast import Contrast
from kollama2.report.records import Study
from kollama2.report.texts import LANGUAGES, Language, say_all

Sentences = dict[str, list[str]]
Texts = dict[Language, str]
# Versions that differ between stages of one study can change its result.
DECISIVE_PACKAGES = ("torch", "transformers", "peft", "trl", "bitsandbytes")


def headline(
    rows: Sequence[Row], contrast: Contrast | None, primary: str, english: str | None, limit: float
) -> Sentences:
    """The result in a few sentences, in every language.

    Args:
        rows: the leaderboard, the base first, then the best first.
        contrast: the primary measure, None if nothing was measured.
        primary: full name of the primary measure.
        english: full name of the English measure, None if the suite has none.
        limit: per cent by which English may grow worse.
    """
    if contrast is None or contrast.comparison is None:
        return _gathered([say_all("headline.nothing", measure=primary)])
    bits = contrast.in_bits
    placed = {row.recipe: (row, row.standing) for row in rows if row.standing}
    base, others = rows[0], [pair for pair in placed.values() if not pair[0].base]
    better = [row for row, place in others if _verdict(place) > 0]
    said = []
    if better:
        # Rows are sorted by score, so the first that differs from the base is the one to name.
        leader, place = placed[better[0].recipe]
        assert place.versus_base is not None, "what beats the base was compared with it"
        key = "headline.lead" if bits else "headline.lead_points"
        gain = estimate(place.versus_base.gain, bits)
        said.append(say_all(key, leader=leader.recipe, gain=gain, measure=contrast.measure))
        said += _against_leader(leader, others, bits)
        if leader.english and leader.english.change:
            change = estimate(leader.english.change, True, sign=True)
            named = {"leader": leader.recipe, "change": change, "measure": english}
            said.append(say_all("headline.english", **named))
    else:
        beaten = all(_verdict(place) < 0 for _, place in others)
        key = "headline.base" if others and beaten else "headline.even"
        said.append(say_all(key, base=base.recipe, measure=contrast.measure))
    for key, sign in (("headline.tied_base", 0), ("headline.worse", -1)):
        names = ", ".join(row.recipe for row, place in others if _verdict(place) == sign)
        if names and better:
            said.append(say_all(key, names=names))
    flagged = ", ".join(row.recipe for row in rows if row.english and row.english.flag)
    if flagged:
        said.append(say_all("headline.english_flag", names=flagged, limit=f"{limit:g}"))
    comparison = contrast.comparison
    key = "headline.seeds" if comparison.uncertainty == "items and seeds" else "headline.items_only"
    seeds = max(len(place.seeds) for _, place in placed.values())
    counts = {"items": f"{comparison.items:,}", "resamples": f"{comparison.resamples:,}"}
    said.append(say_all(key, seeds=seeds, **counts))
    return _gathered(said)


def estimate(value: Estimate, percent: bool, sign: bool = False) -> str:
    """A value with its interval: `44.2% [41.0, 47.3]` or `0.123 [0.101, 0.140]`."""
    digits = ".1f" if percent else ".3f"
    unit = "%" if percent else ""
    plus = "+" if sign else ""
    first = format(value.value + 0.0, plus + digits)
    return f"{first}{unit} [{value.low + 0.0:{digits}}, {value.high + 0.0:{digits}}]"


def warnings(study: Study, contrasts: Mapping[str, Contrast], rows: Sequence[Row]) -> Sentences:
    """What a reader must know before trusting the table, in every language."""
    said = [text for row in rows for text in _seen(row, study.lock["primary"])]
    stopped: dict[tuple[str, str], dict[str, None]] = {}
    for cell in study.cells:
        if not cell.done:
            name = f"{cell.recipe} ({cell.seed})"
            stopped.setdefault((cell.state, cell.trouble), {})[name] = None
    for (state, trouble), names in sorted(stopped.items()):
        said.append(say_all(f"warning.{state}", names=", ".join(names), trouble=trouble))
    for name, contrast in contrasts.items():
        if contrast.comparison and contrast.comparison.dropped:
            count = contrast.comparison.dropped
            said.append(say_all("warning.dropped", count=count, measure=name))
    for recipe in study.recipes:
        said += _of_recipe(study, recipe)
    return _gathered(said + _mixed(study))


def _against_leader(leader: Row, others: Sequence[tuple[Row, Standing]], bits: bool) -> list[Texts]:
    said = []
    rest = [(row, place.versus_leader) for row, place in others if row.recipe != leader.recipe]
    tied = [(row, versus) for row, versus in rest if versus and not versus.separable]
    if tied:
        mde = max(versus.mde for _, versus in tied)
        names = ", ".join(row.recipe for row, _ in tied)
        text = f"{mde:.1f}%" if bits else f"{mde:.3f}"
        said.append(say_all("headline.tied", leader=leader.recipe, names=names, mde=text))
    behind = next(((row, versus) for row, versus in rest if versus and versus.separable), None)
    if behind is None:
        return said
    row, versus = behind
    score = row.standing.score.value if row.standing else 0.0
    by = 100 / abs(score) if bits and score else 1.0
    ends = sorted(abs(end) * by for end in (versus.difference.low, versus.difference.high))
    gain = Estimate(abs(versus.difference.value) * by, *ends)
    mine, its = leader.cost.flops, row.cost.flops
    cost = dict.fromkeys(LANGUAGES, "")
    if mine and its and not 0.95 < mine / its < 1.05:
        cost = say_all("headline.flops", ratio=f"{mine / its:.1f}")
    named = {"leader": leader.recipe, "other": row.recipe, "gain": estimate(gain, bits)}
    key = "headline.second" if bits else "headline.second_points"
    second = {lang: say_all(key, cost=cost[lang], **named)[lang] for lang in cost}
    return [*said, second]


def _verdict(place: Standing) -> int:
    """1 better than the base, -1 worse, 0 not separable from it."""
    if place.versus_base is None or not place.versus_base.separable:
        return 0
    return 1 if place.versus_base.gain.value > 0 else -1


def _of_recipe(study: Study, recipe: str) -> list[Texts]:
    """Items cut off, answers empty or broken, classes degenerate; summed over the trainings."""
    cells = {cell.evaluate: cell for cell in study.of(recipe) if cell.done}
    counts: dict[tuple[str, str], list[int]] = {}
    flags: dict[tuple[str, str], None] = {}
    for name in cells:
        metrics = study.stages[name].metrics
        for task, found in metrics.get("counts", {}).items():
            # Empty answers are among the failed ones; they are told once.
            broken = found.get("failed", 0) - found.get("empty", 0)
            kinds = {**found, "broken": max(broken, 0)}
            for kind in ("truncated", "empty", "broken"):
                if kinds.get(kind):
                    counts.setdefault((kind, task), []).append(kinds[kind])
        flags.update(
            {
                (task, flag): None
                for task in metrics.get("flags", {})
                for flag in metrics["flags"][task]
            }
        )
    said = [
        say_all(f"warning.{kind}", recipe=recipe, task=task, count=sum(each), trainings=len(each))
        for (kind, task), each in counts.items()
    ]
    said += [say_all("warning.flag", recipe=recipe, task=task, flag=flag) for task, flag in flags]
    return said


def _seen(row: Row, primary: str) -> list[Texts]:
    """Items that stand in the training data, task by task, and what the rest says."""
    if not row.trust.checked:
        return [say_all("warning.unchecked", recipe=row.recipe)]
    seen = row.trust.seen
    if seen is None:
        return []
    said = []
    for task, count in seen.flagged.items():
        if not count:
            continue
        named = {"recipe": row.recipe, "task": task, "count": count, "judged": seen.judged[task]}
        if task != primary.partition("/")[0]:
            said.append(say_all("warning.seen", **named))
        elif seen.clean is None or seen.difference is None:
            said.append(say_all("warning.seen_all", **named))
        else:
            clean = {"clean": f"{seen.clean:.4f}", "difference": f"{seen.difference:+.4f}"}
            said.append(say_all("warning.seen_clean", measure=primary, **clean, **named))
    return said


def _mixed(study: Study) -> list[Texts]:
    """Suites or packages that changed between the cells of one study."""
    said = []
    hashes: dict[str, set[str]] = {}
    for cell in study.cells:
        if cell.done and (found := study.stages[cell.evaluate].metrics.get("suite")):
            hashes.setdefault(cell.suite, set()).add(str(found))
    for suite, found_hashes in hashes.items():
        if len(found_hashes) > 1:
            listed = ", ".join(sorted(found_hashes))
            said.append(say_all("warning.suites", suite=suite, hashes=listed))
    for package in DECISIVE_PACKAGES:
        versions = {
            str(stage.record["packages"][package])
            for stage in study.stages.values()
            if package in stage.record.get("packages", {})
        }
        if len(versions) > 1:
            listed = ", ".join(sorted(versions))
            said.append(say_all("warning.versions", package=package, versions=listed))
    return said


def _gathered(said: Sequence[Texts]) -> Sentences:
    return {language: [text[language] for text in said] for language in LANGUAGES}
