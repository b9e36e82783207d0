"""Preferences: what people and judge models preferred, as strengths with intervals."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from kollama2.evaluation.bradley_terry import Judgement, bradley_terry
from kollama2.evaluation.journal import entries
from kollama2.records.read import Json
from kollama2.reporting.board import Estimate, Panel, Strength
from kollama2.reporting.study import Study

VOTES, JUDGEMENTS = "votes.jsonl", "judgements.jsonl"
# A vote that both answers are bad says nothing about which is better, like a tie.
SCORES: Mapping[str, float] = {"left": 1.0, "right": 0.0, "tie": 0.5, "bad": 0.5}

Key = tuple[str, str, frozenset[str]]  # task, item, the two evaluations


def files(study: Study) -> tuple[Path, Path]:
    """The files of votes and of judgements of a study; either may be missing."""
    folder = study.store / "studies" / study.name
    return folder / VOTES, folder / JUDGEMENTS


def panels(study: Study) -> list[Panel]:
    """People first, then each judge; empty if nobody compared anything.

    Raises:
        Corrupt: a line cannot be read.
    """
    recipes = {cell.evaluate: cell.recipe for cell in study.cells if cell.done}
    base = study.recipes[0]
    votes_file, judged_file = files(study)
    votes = [vote for vote in entries(votes_file) if _counts(vote, recipes)]
    found = []
    if votes:
        judgements = [
            Judgement(
                recipes[vote["left"]], recipes[vote["right"]], SCORES[vote["choice"]], _prompt(vote)
            )
            for vote in votes
        ]
        voters = len({vote.get("voter") for vote in votes})
        found.append(_panel(None, judgements, base, voters=voters))
    by_judge: dict[str, list[Json]] = {}
    for line in entries(judged_file):
        if line.get("left") in recipes and line.get("right") in recipes:
            by_judge.setdefault(str(line.get("judge", "")), []).append(line)
    people = _decided(votes)
    for judge, lines in by_judge.items():
        panel = _judged(judge, lines, recipes, base, people)
        if panel is not None:
            found.append(panel)
    return found


def _panel(judge: str | None, judgements: Sequence[Judgement], base: str, **counts: Any) -> Panel:
    """Strengths; what a judge's length says of its verdicts is taken out."""
    strengths = bradley_terry(judgements, base, control_length=judge is not None)
    recipes = {
        name: Strength(Estimate(one.elo, one.low, one.high), one.wins, one.ties, one.losses)
        for name, one in strengths.items()
    }
    prompts = len({one.cluster for one in judgements})
    return Panel(judge, recipes, len(judgements), prompts, **counts)


def choice_of(vote: Json) -> str | None:
    """What was chosen: left, right, tie or bad; None for a line that is no vote."""
    choice = vote.get("choice")
    whole = all(isinstance(vote.get(key), str) for key in ("task", "item", "left", "right"))
    return choice if whole and choice in SCORES else None


def _judged(
    judge: str,
    lines: Iterable[Json],
    recipes: Mapping[str, str],
    base: str,
    people: Mapping[Key, str],
) -> Panel | None:
    """A judge's panel from its verdicts in both orders; a pair needs both."""
    pairs: dict[Key, list[Json]] = {}
    for line in lines:
        pairs.setdefault(_key(line), []).append(line)
    judgements: list[Judgement] = []
    gated = unreadable = steady = asked = agreed = agreed_on = 0
    for key, both in pairs.items():
        first = both[0]
        scores = [_score(one, first["left"]) for one in both]
        known = [score for score in scores if score is not None]
        if len(known) < len(scores):
            unreadable += 1
            continue
        if not first.get("gate") and len(known) < 2:
            continue  # the other order is not asked yet
        gated += int(bool(first.get("gate")))
        if not first.get("gate"):
            asked += 1
            steady += int(known[0] == known[1])
        score = sum(known) / len(known)
        judgements.append(
            Judgement(
                recipes[first["left"]],
                recipes[first["right"]],
                score,
                _prompt(first),
                # Nobody read what language decided, so its length cannot have impressed anybody.
                0.0 if first.get("gate") else _longer(first),
            )
        )
        if key in people and score != 0.5:
            agreed_on += 1
            agreed += int(people[key] == (first["left"] if score > 0.5 else first["right"]))
    if not judgements:
        return None
    return _panel(
        judge,
        judgements,
        base,
        gated=gated,
        unreadable=unreadable,
        steady=steady / asked if asked else None,
        agreement=agreed / agreed_on if agreed_on else None,
        agreed_on=agreed_on,
    )


def _longer(line: Json) -> float:
    left, right = line.get("length", (0, 0))
    return float(left - right)


def _score(line: Json, left: str) -> float | None:
    """1 if the verdict is for `left`, 0 if for the other, a half for a tie, None for none."""
    if line.get("choice") not in SCORES:
        return None
    score = SCORES[line["choice"]]
    return score if line["left"] == left else 1 - score


def _counts(vote: Json, recipes: Mapping[str, str]) -> bool:
    """Whether a vote is about evaluations that the study still has."""
    return choice_of(vote) is not None and vote["left"] in recipes and vote["right"] in recipes


def _decided(votes: Iterable[Json]) -> dict[Key, str]:
    """Of each pair on which people are not split, the evaluation that they prefer."""
    sums: dict[Key, dict[str, float]] = {}
    for vote in votes:
        both = sums.setdefault(_key(vote), {vote["left"]: 0.0, vote["right"]: 0.0})
        both[vote["left"]] += SCORES[vote["choice"]]
        both[vote["right"]] += 1 - SCORES[vote["choice"]]
    return {
        key: max(both, key=lambda one: both[one])
        for key, both in sums.items()
        if len(set(both.values())) > 1
    }


def _key(line: Json) -> Key:
    return (str(line["task"]), str(line["item"]), frozenset((line["left"], line["right"])))


def _prompt(line: Json) -> str:
    return f"{line['task']}/{line['item']}"
