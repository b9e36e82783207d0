"""What measuring a task gives: records of its items, samples to look at, and counts."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from kollama2.evaluation.rows import Row
from kollama2.records.done import Counts
from kollama2.records.items import ITEMS, Item, write_lines
from kollama2.records.measures import MEASURES, Measure

# Fields of rows that are measured or say which item it is.
_MEASURED = frozenset(
    "id cluster task measure item value weight text en ko messages answer reference "
    "question choices gold golds by_prompt rules arguments".split()
)
_LONGEST_DETAIL = 40
# Measures that are 1 / choices for a model that guesses.
_GUESSED = ("p_gold", "accuracy", "acc", "acc_bytes", "acc_norm", "exact")


@dataclass
class Outcome:
    """Records and samples of a task; `truncated` items did not fit the model and have none.

    `unscorable` ones hold a text of which the tokenizer makes no token of its own.
    `faults` counts answers by what is wrong with them (`fidelity.FAULTS`);
    `also` are counts that only some kinds of tasks have (`unanswered`, `unknown_rules`).
    `declared` says what measures are that are lm-eval's and not ours, by their short names,
    `corpus` holds scores of the whole that are no mean over items, with their signatures,
    `reproduced` lm-eval's own aggregates by its tasks and metrics, `digest` the hash of an lm-eval
    task's texts.
    """

    task: str
    records: list[dict[str, Any]] = field(default_factory=list)
    samples: list[dict[str, Any]] = field(default_factory=list)
    items: int = 0
    truncated: int = 0
    unscorable: int = 0
    empty: int = 0
    failed: int = 0
    faults: dict[str, int] = field(default_factory=dict)
    also: dict[str, int] = field(default_factory=dict)
    flags: list[str] = field(default_factory=list)
    declared: dict[str, Measure] = field(default_factory=dict)
    corpus: dict[str, dict[str, Any]] = field(default_factory=dict)
    reproduced: dict[str, dict[str, float]] = field(default_factory=dict)
    digest: str = ""

    def add(
        self,
        row: Row,
        measure: str,
        value: float,
        weight: float = 1.0,
        details: Mapping[str, Any] = MappingProxyType({}),
        by_prompt: Sequence[float] = (),
    ) -> None:
        """One record: the score of the measure is sum(value) / sum(weight) over its records.

        `by_prompt` are the values under each paraphrase of the prompt, whose mean `value` is.
        """
        prompts = {"by_prompt": list(by_prompt)} if len(by_prompt) > 1 else {}
        item = Item(
            task=self.task,
            measure=measure,
            item=row["id"],
            cluster=row["cluster"],
            value=value,
            weight=weight,
        )
        self.records.append({**item, **row_details(row), **details, **prompts})

    def show(self, row: Row, prompt: str, answer: str, more: Mapping[str, Any]) -> None:
        """One sample to look at: what was asked, what was answered, and what else there is."""
        about = {"task": self.task, "item": row["id"], "prompt": prompt, "answer": answer}
        self.samples.append({**about, **more, **row_details(row)})

    def leave_out(self, count: int) -> None:
        """Say how many items cannot be scored and have no records."""
        self.unscorable = count
        if count:
            self.flags.append(
                f"{count} of {self.items} items are left out: the tokenizer makes no token of a "
                "text that is to be scored"
            )

    def counts(self) -> Counts:
        """How many items there were, how many were left out, empty or failed, and their faults."""
        return Counts(
            items=self.items,
            truncated=self.truncated,
            unscorable=self.unscorable,
            empty=self.empty,
            failed=self.failed,
            **({"faults": self.faults} if self.faults else {}),
            **self.also,
        )


def keep(outcomes: Sequence[Outcome], out: Path) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Write `items.jsonl` and `samples.jsonl`, whoever was measured.

    Returns:
        All records, and what follows from them and the counts: `scores`, `counts` by task, and by
        full measure name `measures` (title, unit and direction of each) and `corpus`, the scores
        of the whole.
    """
    records = [record for outcome in outcomes for record in outcome.records]
    write_lines(out / ITEMS, records)
    write_lines(out / "samples.jsonl", [one for outcome in outcomes for one in outcome.samples])
    corpus = {
        f"{outcome.task}/{name}": about
        for outcome in outcomes
        for name, about in outcome.corpus.items()
    }
    measures = {  # one that nobody declared is a mistake of ours
        f"{outcome.task}/{name}": outcome.declared.get(name) or MEASURES[name]
        for outcome in outcomes
        for name in dict.fromkeys(record["measure"] for record in outcome.records)
    }
    return records, {
        "scores": scores(records),
        "measures": measures,
        "counts": {outcome.task: outcome.counts() for outcome in outcomes},
        "corpus": corpus,
    }


def chance(outcomes: Iterable[Outcome]) -> dict[str, float]:
    """What guessing among the choices would give, by full measure name, where there are choices."""
    found: dict[str, float] = {}
    for outcome in outcomes:
        shares = [1 / len(one["choices"]) for one in outcome.samples if one.get("choices")]
        measured = {record["measure"] for record in outcome.records}
        if shares:
            level = math.fsum(shares) / len(shares)
            found |= {f"{outcome.task}/{name}": level for name in _GUESSED if name in measured}
    return found


def row_details(row: Row) -> dict[str, str | int | bool]:
    """What a row says about itself beside what is measured (`known_in`, `kind`), if short."""
    return {
        key: value
        for key, value in row.items()
        if key not in _MEASURED
        and isinstance(value, str | int | bool)
        and len(str(value)) <= _LONGEST_DETAIL
    }


def scores(records: list[dict[str, Any]]) -> dict[str, float]:
    """Score of every measure: sum of values over sum of weights, in order of appearance."""
    return {
        name: math.fsum(one["value"] for one in group) / math.fsum(one["weight"] for one in group)
        for name, group in by_measure(records).items()
    }


def by_measure(records: Iterable[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    """Records by the full name of their measure, in order of appearance."""
    found: dict[str, list[Mapping[str, Any]]] = {}
    for record in records:
        found.setdefault(f"{record['task']}/{record['measure']}", []).append(record)
    return found
