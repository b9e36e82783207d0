"""Sentences that the statistics allow: who leads, by how much, at which price, and who ties."""

import math
from collections.abc import Sequence

from kollama2.evaluation.contrast import Contrast
from kollama2.evaluation.inference import FEWEST
from kollama2.evaluation.statistics import Comparison, fragile
from kollama2.locale import LANGUAGES
from kollama2.reporting.board import BoardRow, Cost, Estimate, Place
from kollama2.reporting.terminal import quantity
from kollama2.reporting.texts import Texts, say_all
from kollama2.reporting.versus import between

LEAVE_ONE_OUT = 3  # seeds from which leaving one out leaves enough to look at

Sentences = dict[str, list[str]]


def headline(
    rows: Sequence[BoardRow],
    contrast: Contrast | None,
    primary: str,
    english: str | None,
    limit: float,
) -> Sentences:
    """The result in a few sentences, in every language.

    Args:
        rows: the leaderboard, the best first.
        contrast: the primary measure, None if nothing was measured.
        primary: full name of the primary measure.
        english: full name of the English measure, None if the suite has none.
        limit: per cent by which English may grow worse.
    """
    if contrast is None or contrast.comparison is None:
        return gathered([say_all("headline.nothing", measure=primary)])
    bits, comparison = contrast.in_bits, contrast.comparison
    placed = {row.recipe: (row, row.standing) for row in rows if row.standing}
    base = next(row for row in rows if row.base)
    others = [pair for pair in placed.values() if not pair[0].base]
    if not others:
        return gathered([say_all("headline.alone", base=base.recipe, measure=contrast.measure)])
    better = [row for row, place in others if verdict(place) > 0]
    said = []
    if not comparison.ranked:
        said.append(_no_verdict(rows, comparison))
    elif better:
        # Rows are sorted by score, so the first that differs from the base is the one to name.
        leader, place = placed[better[0].recipe]
        assert place.versus_base is not None, "what beats the base was compared with it"
        key = "headline.lead" if bits else "headline.lead_points"
        gain = estimate(place.versus_base.gain, bits)
        said.append(say_all(key, leader=leader.recipe, gain=gain, measure=contrast.measure))
        said += _against_leader(leader, others, bits)
        # What ties with the leader is said already.
        tied = [
            (row, place)
            for row, place in others
            if verdict(place) != 0 and (not place.versus_leader or place.versus_leader.separable)
        ]
        said += _ties(leader.recipe, tied, contrast)
        if leader.english and leader.english.change:
            change = estimate(leader.english.change, True, sign=True)
            named = {"leader": leader.recipe, "change": change, "measure": english}
            said.append(say_all("headline.english", **named))
    else:
        beaten = all(verdict(place) < 0 for _, place in others)
        key = "headline.base" if beaten else "headline.even"
        said.append(say_all(key, base=base.recipe, measure=contrast.measure))
    for key, sign in (("headline.tied_base", 0), ("headline.worse", -1)):
        names = ", ".join(row.recipe for row, place in others if verdict(place) == sign)
        if names and better:
            said.append(say_all(key, names=names))
    flagged = ", ".join(row.recipe for row in rows if row.english and row.english.flag)
    if flagged:
        said.append(say_all("headline.english_flag", names=flagged, limit=f"{limit:g}"))
    best = ", ".join(row.recipe for row in better if row.frontier)
    if best and len(others) > 1:
        said.append(say_all("headline.frontier", names=best))
    seeds = max(len(place.seeds) for _, place in placed.values())
    once = "items_only" if any(row.cost.flops for row, _ in others) else "untrained"
    key = f"headline.{'seeds' if seeds > 1 else once}"
    said.append(say_all(key, seeds=seeds, items=comparison.items, resamples=comparison.resamples))
    lent = [row.recipe for row, place in others if row.cost.flops and len(place.seeds) == 1 < seeds]
    if lent and comparison.ranked:
        said.append(say_all("headline.lent", names=", ".join(lent)))
    elif comparison.ranked and seeds >= LEAVE_ONE_OUT and not fragile(comparison):
        said.append(say_all("headline.steady", seeds=seeds))
    return gathered(said)


def _no_verdict(rows: Sequence[BoardRow], comparison: Comparison) -> Texts:
    """Why nothing leads, and what it takes."""
    if comparison.clusters < FEWEST:
        return say_all("headline.few", clusters=comparison.clusters, fewest=FEWEST)
    flops = sum(row.cost.flops or 0.0 for row in rows)
    return say_all("headline.one_seed", flops=quantity(flops, "FLOPs"))


def estimate(value: Estimate, percent: bool, sign: bool = False) -> str:
    """A value with its interval: `44.2% [41.0, 47.3]` or `0.123 [0.101, 0.140]`."""
    digits = ".1f" if percent else ".3f"
    unit = "%" if percent else ""
    plus = "+" if sign else ""
    first = format(value.value + 0.0, plus + digits)
    return f"{first}{unit} [{value.low + 0.0:{digits}}, {value.high + 0.0:{digits}}]"


def _against_leader(
    leader: BoardRow, others: Sequence[tuple[BoardRow, Place]], bits: bool
) -> list[Texts]:
    said = []
    rest = [(row, place.versus_leader) for row, place in others if row.recipe != leader.recipe]
    tied = [(row, versus) for row, versus in rest if versus and not versus.separable]
    equal = [row.recipe for row, versus in tied if math.isnan(versus.mde)]
    if equal:
        said.append(say_all("headline.equal", names=", ".join([leader.recipe, *equal])))
    if len(tied) > len(equal):
        mde = max(versus.mde for row, versus in tied if row.recipe not in equal)
        names = ", ".join(row.recipe for row, _ in tied if row.recipe not in equal)
        said.append(
            say_all("headline.tied", leader=leader.recipe, names=names, mde=_mde(mde, bits))
        )
    behind = next(((row, versus) for row, versus in rest if versus and versus.separable), None)
    if behind is None:
        return said
    row, versus = behind
    score = row.standing.score.value if row.standing else 0.0
    by = 100 / abs(score) if bits and score else 1.0
    ends = sorted(abs(end) * by for end in (versus.difference.low, versus.difference.high))
    gain = Estimate(abs(versus.difference.value) * by, *ends)
    cost = _relative_cost(leader.cost, row.cost)
    named = {"leader": leader.recipe, "other": row.recipe, "gain": estimate(gain, bits)}
    key = "headline.second" if bits else "headline.second_points"
    return [*said, say_all(key, cost=cost, **named)]


def _relative_cost(mine: Cost, its: Cost) -> Texts:
    """At which price: Korean text and FLOPs of the first, against those of the second."""
    parts = []
    for key, left, right in (
        ("korean", mine.korean_bytes, its.korean_bytes),
        ("flops", mine.flops, its.flops),
    ):
        if not left or not right:
            continue
        ratio = left / right
        if 0.95 < ratio < 1.05:
            parts.append(say_all(f"headline.same_{key}"))
        else:
            text = f"{ratio:.1f}" if ratio >= 0.1 else f"{ratio:.2g}"
            parts.append(say_all(f"headline.{key}", ratio=text))
    if not parts:
        return dict.fromkeys(LANGUAGES, "")
    return say_all("headline.at", parts=joined(parts, ", "))


def _ties(leader: str, others: Sequence[tuple[BoardRow, Place]], contrast: Contrast) -> list[Texts]:
    """Neighbours behind the leader of which no two can be told apart, group by group."""
    names = [row.recipe for row, _ in others if row.recipe != leader]
    said = []
    while names:
        group, widest = [names[0]], 0.0
        for name in names[1:]:
            found = [between(contrast, one, name) for one in group]
            if any(versus is None or versus.separable for versus in found):
                break
            group.append(name)
            known = [v.mde for v in found if v and not math.isnan(v.mde)]
            widest = max([widest, *known])
        names = names[len(group) :]
        if len(group) > 1:
            key = "headline.tied_group" if widest else "headline.equal"
            mde = _mde(widest, contrast.in_bits)
            said.append(say_all(key, names=", ".join(group), mde=mde))
    return said


def _mde(value: float, percent: bool) -> str:
    return f"{value:.1f}%" if percent else f"{value:.3f}"


def verdict(place: Place) -> int:
    """1 better than the base, -1 worse, 0 not separable from it."""
    if place.versus_base is None or not place.versus_base.separable:
        return 0
    return 1 if place.versus_base.gain.value > 0 else -1


def joined(parts: Sequence[Texts], between_them: str) -> Texts:
    """Texts as one, in every language."""
    return {language: between_them.join(one[language] for one in parts) for language in LANGUAGES}


def gathered(said: Sequence[Texts]) -> Sentences:
    """Sentences by language."""
    return {language: [text[language] for text in said] for language in LANGUAGES}
