"""Measures one model with one suite and writes a record for every item."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import nn

from kollama2.engine.profile import Resources
from kollama2.errors import BadUsage
from kollama2.evaluation.choices import multiple_choice
from kollama2.evaluation.exact import answered
from kollama2.evaluation.generate import generation
from kollama2.evaluation.induction import context_gain, induction, induction_rows
from kollama2.evaluation.likelihood import (
    Tools,
    bits_per_byte,
    instruction_gain,
    translation_pmi,
)
from kollama2.evaluation.means import mean
from kollama2.evaluation.outcome import Outcome, chance, keep, scores
from kollama2.evaluation.ratings import rating
from kollama2.evaluation.rows import Row, read_rows
from kollama2.evaluation.scorer import Encoder, Scorer
from kollama2.evaluation.suite import (
    BitsPerByte,
    ContextGain,
    ExactMatch,
    Generation,
    Harness,
    Induction,
    InstructionGain,
    InstructionRules,
    Mean,
    MultipleChoice,
    Rating,
    Suite,
    Task,
    Translation,
    TranslationPmi,
)
from kollama2.locale import mark
from kollama2.records.done import Cut, Evaluation


def evaluate(
    suite: Suite,
    *,
    model: nn.Module,
    encoder: Encoder,
    out: Path,
    resources: Resources,
    progress: Callable[..., None],
    batch_tokens: int | None = None,
    tokenizer: Callable[[], Any] | None = None,
) -> dict[str, Any]:
    """Measure a model; write `items.jsonl` and `samples.jsonl` into `out`.

    Args:
        suite: with data resolved to local files (`Suite.resolved`).
        model: a causal LM of transformers or peft, on its device.
        encoder: text to ids as this model was taught them.
        out: an existing folder.
        resources: `micro_batch_tokens` bounds a forward pass, unless `batch_tokens` is given.
        progress: called as `progress(done, total, "items", task=...)` after each batch.
        batch_tokens: padded positions in one forward pass.
        tokenizer: loads the model's tokenizer of transformers, for tasks of lm-eval.

    Returns:
        What `records.done.Evaluation` declares, all of it.

    Raises:
        BadData: a data file cannot be used, or the tokenizer loses text.
    """
    data = {one.name: _rows(one) for one in suite.tasks if not isinstance(one, Harness | Mean)}
    sizes = {one.name: len(data.get(one.name, ())) or one.limit or 1 for one in suite.tasks}
    total = sum(sizes.values())
    scorer = Scorer(model, batch_tokens=batch_tokens or resources.micro_batch_tokens)
    training = model.training
    model.eval()
    outcomes: list[Outcome] = []
    seconds: dict[str, float] = {}
    done = 0
    for task in suite.tasks:
        size = sizes[task.name]
        tools = Tools(scorer, encoder, _told(progress, task.name, done, size, total))
        started = time.perf_counter()
        if isinstance(task, Harness):
            outcomes.append(_harness(task, tools, model, tokenizer))
        elif isinstance(task, Mean):
            before = [record for outcome in outcomes for record in outcome.records]
            outcomes.append(mean(task, before))
        else:
            outcomes.append(_measure(task, data[task.name], tools, model))
        seconds[task.name] = round(time.perf_counter() - started, 3)
        done += size
    progress(total, total, mark("items"))
    model.train(training)
    records, kept = keep(outcomes, out)
    return Evaluation(
        **kept,
        subscores=_subscores(records),
        by_prompt=_by_prompt(records),
        chance=chance(outcomes),
        flags={outcome.task: outcome.flags for outcome in outcomes if outcome.flags},
        tokenizer=_tokenizer(suite, data, scorer, encoder),
        parameters=sum(one.numel() for one in model.parameters()),
        reproduced={
            name: metrics for outcome in outcomes for name, metrics in outcome.reproduced.items()
        },
        seconds=seconds,
        suite=suite.hash({outcome.task: outcome.digest for outcome in outcomes}),
    ).plain()


def _rows(task: Task) -> list[Row]:
    return induction_rows(task) if isinstance(task, Induction) else read_rows(task)


def _told(
    progress: Callable[..., None], task: str, before: int, size: int, total: int
) -> Callable[[float], None]:
    """Turns the share of one task into items of the whole suite."""
    return lambda share: progress(before + share * size, total, mark("items"), task=task)


def _harness(
    task: Harness, tools: Tools, model: nn.Module, tokenizer: Callable[[], Any] | None
) -> Outcome:
    from kollama2.evaluation.harness import harness  # imports lm-eval, which takes a while

    if tokenizer is None:
        raise BadUsage(f"task {task.name}: lm-eval's tasks need a tokenizer of transformers")
    return harness(
        task,
        model=model,
        tokenizer=tokenizer(),
        scorer=tools.scorer,
        stop_ids=tools.encoder.stop_ids,
        heard=tools.heard,
    )


def _measure(task: Task, rows: list[Row], tools: Tools, model: nn.Module) -> Outcome:
    if isinstance(task, BitsPerByte):
        return bits_per_byte(task, rows, tools)
    if isinstance(task, InstructionGain):
        return instruction_gain(task, rows, tools)
    if isinstance(task, TranslationPmi):
        return translation_pmi(task, rows, tools)
    if isinstance(task, MultipleChoice):
        return multiple_choice(task, rows, tools)
    if isinstance(task, ExactMatch | InstructionRules):
        return answered(task, rows, tools, model)
    if isinstance(task, Rating):
        return rating(task, rows, tools)
    if isinstance(task, Induction):
        return induction(task, rows, tools)
    if isinstance(task, ContextGain):
        return context_gain(task, rows, tools)
    assert isinstance(task, Generation | Translation), task
    return generation(task, rows, tools, model)


def _tokenizer(
    suite: Suite, data: Mapping[str, Sequence[Row]], scorer: Scorer, encoder: Encoder
) -> dict[str, Cut]:
    """How the tokenizer cuts the running texts of each language."""
    found: dict[str, Cut] = {}
    for lang in ("ko", "en"):
        texts = [
            row["text"]
            for task in suite.tasks
            if isinstance(task, BitsPerByte) and task.lang == lang
            for row in data[task.name]
        ]
        if not texts:
            continue
        ids = [one for text in texts for one in encoder.encode(text)]
        broken = {one for one in set(ids) if "\ufffd" in encoder.decode([one])}
        characters = sum(map(len, texts))
        found[lang] = Cut(
            bytes_per_token=sum(len(text.encode()) for text in texts) / len(ids),
            broken_share=sum(one in broken for one in ids) / len(ids),
            context_characters=scorer.max_length * characters / len(ids),
        )
    return found


def _by_prompt(records: list[dict[str, Any]]) -> dict[str, list[float]]:
    """Scores of each paraphrase of a prompt, where a task has several."""
    found: dict[str, list[dict[str, Any]]] = {}
    for record in records:
        if "by_prompt" in record:
            found.setdefault(f"{record['task']}/{record['measure']}", []).append(record)
    return {
        name: [
            math.fsum(one["by_prompt"][at] for one in group)
            / math.fsum(one["weight"] for one in group)
            for at in range(len(group[0]["by_prompt"]))
        ]
        for name, group in found.items()
    }


def _subscores(records: list[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """Scores by the values of the details that rows carry, such as `known_in=en`."""
    groups: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for record in records:
        for key, value in record.items():
            if isinstance(value, str | bool) and key not in ("task", "measure", "item", "cluster"):
                groups.setdefault(key, {}).setdefault(f"{key}={value}", []).append(record)
    result: dict[str, dict[str, float]] = {}
    for parts in groups.values():
        # A detail with more values names items rather than groups of them.
        for part in sorted(parts) if len(parts) <= 20 else ():
            for name, score in scores(parts[part]).items():
                result.setdefault(name, {})[part] = score
    return result
