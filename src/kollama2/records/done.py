"""`done.json`: what a finished stage says of itself, and what an evaluation measured."""

from typing import Any

from kollama2.records.measures import Measure
from kollama2.records.read import Number, Record


class Done(Record):
    """The record of a finished stage.

    Attributes:
        metrics: what the stage measured; of an evaluation as `Evaluation` declares.
        seconds: of work in all attempts; `cpu_seconds` of the last one.
        peak_gpu_memory_bytes: None where torch used no GPU.
        inputs: names of the stages that it was made of.
        kollama2: the version that wrote it; the fields from here on say what it was made with.
    """

    name: str
    kind: str
    key: str
    metrics: dict[str, Any]
    seconds: float
    cpu_seconds: float = 0.0
    attempts: int = 1
    peak_memory_bytes: int = 0
    peak_gpu_memory_bytes: int | None = None
    started: str = ""
    finished: str = ""
    inputs: list[str] = []
    kollama2: str | None = None
    git: str | None = None
    python: str | None = None
    packages: dict[str, str] = {}
    platform: str | None = None
    host: str | None = None
    cpu: str | None = None
    cores: int | None = None
    threads: int | None = None
    memory_bytes: int | None = None
    gpus: list[str] = []


class Counts(Record):
    """How many items of a task there were, and how many went wrong.

    Attributes:
        truncated: did not fit the model and have no score.
        unscorable: hold a text of which the tokenizer makes no token of its own; no score either.
        empty: answers without a visible character; they count as failures and have scores.
        failed: empty answers, and those with broken characters or that never came.
        faults: answers by what is wrong with them.
    """

    items: int = 0
    truncated: int = 0
    unscorable: int = 0
    empty: int = 0
    failed: int = 0
    faults: dict[str, int] = {}


class Cut(Record):
    """How a tokenizer cuts the running texts of a language.

    `broken_share` are tokens that are only a part of a character; `context_characters`, characters
    of such text that the model sees at once.
    """

    bytes_per_token: Number
    broken_share: Number
    context_characters: Number


class Evaluation(Record):
    """The metrics of an evaluation, most of them by full measure name (`text-ko/bpb`).

    Attributes:
        scores: sum of values over sum of weights.
        measures: what each measure is.
        counts: by task.
        corpus: scores of the whole that are no mean over items, with their signatures.
        subscores: by the values of the details that items carry, such as `known_in=en`.
        by_prompt: scores under each paraphrase of the prompt.
        chance: what guessing gives.
        flags: what looks wrong, by task.
        tokenizer: by language; an endpoint's is not known, nor are its `parameters`.
        reproduced: lm-eval's own aggregates by its tasks and metrics.
        seconds: by task.
        suite: the id of the suite: data, prompts and scorer.
    """

    scores: dict[str, Number]
    measures: dict[str, Measure] = {}
    counts: dict[str, Counts] = {}
    corpus: dict[str, dict[str, Any]] = {}
    subscores: dict[str, dict[str, Number]] = {}
    by_prompt: dict[str, list[Number]] = {}
    chance: dict[str, Number] = {}
    flags: dict[str, list[str]] = {}
    tokenizer: dict[str, Cut] = {}
    parameters: int | None = None
    reproduced: dict[str, dict[str, Number]] = {}
    seconds: dict[str, Number] = {}
    suite: str
