"""Measures one model with one suite and writes a record for every item."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import nn

from kollama2.engine.profile import Resources
from kollama2.errors import BadUsage
from kollama2.evaluation import kinds
from kollama2.evaluation.choices import multiple_choice
from kollama2.evaluation.exact import answered
from kollama2.evaluation.induction import context_gain, induction, induction_rows
from kollama2.evaluation.likelihood import Tools, bits_per_byte, instruction_gain, translation_pmi
from kollama2.evaluation.means import mean
from kollama2.evaluation.outcome import Outcome, by_measure, chance, keep, scores
from kollama2.evaluation.ratings import rating
from kollama2.evaluation.rows import Row, read_rows
from kollama2.evaluation.scorer import Encoder, Scorer
from kollama2.evaluation.suite import Asked, Suite, Task
from kollama2.locale import mark
from kollama2.records.done import Cut, Evaluation

_BY_LIKELIHOOD: Mapping[type, Callable[[Any, list[Row], Tools], Outcome]] = {
    kinds.BitsPerByte: bits_per_byte,
    kinds.InstructionGain: instruction_gain,
    kinds.TranslationPmi: translation_pmi,
    kinds.MultipleChoice: multiple_choice,
    kinds.Rating: rating,
    kinds.Induction: induction,
    kinds.ContextGain: context_gain,
}


def evaluate(
    suite: Suite,
    *,
    model: nn.Module,
    encoder: Encoder,
    out: Path,
    resources: Resources,
    progress: Callable[..., None],
    tokenizer: Callable[[], Any] | None = None,
) -> dict[str, Any]:
    """Measure a model; write `items.jsonl` and `samples.jsonl` into `out`.

    Args:
        suite: with data resolved to local files (`Suite.resolved`).
        model: a causal LM of transformers or peft, on its device.
        encoder: text to ids as this model was taught them.
        out: an existing folder.
        resources: `micro_batch_tokens` bounds a forward pass.
        progress: called as `progress(done, total, "items", task=...)` after each batch.
        tokenizer: loads the model's tokenizer of transformers, for tasks of lm-eval.

    Returns:
        What `records.done.Evaluation` declares, all of it.

    Raises:
        BadData: a data file cannot be used, or the tokenizer loses text.
    """
    data = {
        one.name: induction_rows(one) if isinstance(one, kinds.Induction) else read_rows(one)
        for one in suite.tasks
        if not isinstance(one, kinds.Harness | kinds.Mean)
    }
    sizes = {one.name: len(data.get(one.name, ())) or one.limit or 1 for one in suite.tasks}
    total = sum(sizes.values())
    scorer = Scorer(model, batch_tokens=resources.micro_batch_tokens)
    training = model.training
    model.eval()
    outcomes: list[Outcome] = []
    seconds: dict[str, float] = {}
    done = 0

    def heard(share: float) -> None:  # of the task that is being measured
        progress(done + share * sizes[task.name], total, mark("items"), task=task.name)

    tools = Tools(scorer, encoder, heard)
    for task in suite.tasks:
        started = time.perf_counter()
        if isinstance(task, kinds.Mean):
            before = [record for outcome in outcomes for record in outcome.records]
            outcomes.append(mean(task, before))
        else:
            rows = data.get(task.name, [])
            outcomes.append(_measure(task, rows, tools, model, tokenizer))
        seconds[task.name] = round(time.perf_counter() - started, 3)
        done += sizes[task.name]
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


def _measure(
    task: Task,
    rows: list[Row],
    tools: Tools,
    model: nn.Module,
    tokenizer: Callable[[], Any] | None,
) -> Outcome:
    if isinstance(task, kinds.Harness):
        from kollama2.evaluation.harness import harness  # imports lm-eval, which takes a while

        if tokenizer is None:
            raise BadUsage(f"task {task.name}: lm-eval's tasks need a tokenizer of transformers")
        return harness(task, tools, model, tokenizer())
    if isinstance(task, Asked):
        return answered(task, rows, tools, model)
    return _BY_LIKELIHOOD[type(task)](task, rows, tools)


def _tokenizer(
    suite: Suite, data: Mapping[str, Sequence[Row]], scorer: Scorer, encoder: Encoder
) -> dict[str, Cut]:
    """How the tokenizer cuts the running texts of each language."""
    found: dict[str, Cut] = {}
    for lang in ("ko", "en"):
        texts = [
            row["text"]
            for task in suite.tasks
            if isinstance(task, kinds.BitsPerByte) and task.lang == lang
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
    return {
        name: [
            math.fsum(one["by_prompt"][at] for one in group)
            / math.fsum(one["weight"] for one in group)
            for at in range(len(group[0]["by_prompt"]))
        ]
        for name, group in by_measure(one for one in records if "by_prompt" in one).items()
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
