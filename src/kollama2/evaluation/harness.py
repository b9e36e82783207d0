"""Tasks of lm-eval under the scorer: their items become records as those of every other task."""

import hashlib
import json
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from lm_eval import evaluator
from lm_eval.api.metrics import mean, median, nanmean, perplexity
from lm_eval.api.samplers import FirstNSampler
from torch import nn

from kollama2.errors import BadData
from kollama2.evaluation.choices import choice_measures, degenerate
from kollama2.evaluation.faults import squeezed
from kollama2.evaluation.harness_tasks import LoadedTask, load_tasks
from kollama2.evaluation.kinds import Harness
from kollama2.evaluation.likelihood import Tools
from kollama2.evaluation.lm import SharedContextLM
from kollama2.evaluation.outcome import Outcome
from kollama2.evaluation.rows import Row
from kollama2.records.measures import MEASURES, Measure, foreign

# Scores of whole texts: lm-eval's (log-likelihood, size) pairs under our name for bits per byte.
_PAIRS = {"bits_per_byte": "bpb"}
# What lm-eval and we call alike; another metric of lm-eval's that has a name of ours gets its own.
_ALIKE = ("acc", "acc_norm")
# Aggregates that mean what the values of the items mean.
_MEANS = (mean, nanmean, median)
_LONGEST_PROMPT = 4_000


class _Answer(NamedTuple):
    """What one prompt says about one item: measures with weights, and texts to show.

    `declared` says what those measures are that are lm-eval's, `asked` is all that the model read.
    """

    values: Mapping[str, tuple[float, float]]
    shown: Mapping[str, Any]
    declared: Mapping[str, Measure]
    asked: str


def harness(task: Harness, tools: Tools, model: nn.Module, tokenizer: Any) -> Outcome:
    """Measure a model on an lm-eval task, every prompt in turn, and average over the prompts.

    Items of which a part does not fit the model are left out and counted, where lm-eval would cut
    their beginning off; so are those with a choice that has no token of its own, at which lm-eval's
    backend stops.

    Args:
        task: with `data` and `include` resolved to local places.
        tools: of the model.
        model: in evaluation mode.
        tokenizer: the model's, of transformers.

    Raises:
        BadUsage: no such task, or it cannot be measured here.
        BadData: its data cannot be used, or the model gives no finite probability.
    """
    versions = load_tasks(task)
    lm = SharedContextLM(
        model,
        tokenizer,
        scorer=tools.scorer,
        stop_ids=tools.encoder.stop_ids,
        heard=tools.heard,
    )
    results = evaluator.evaluate(
        lm,
        {"tasks": {one.name: one.task for one in versions}, "groups": {}, "group_map": {}},
        limit=task.limit,
        bootstrap_iters=0,
        apply_chat_template=task.chat,
    )
    answers: dict[tuple[str, int], dict[int, _Answer]] = defaultdict(dict)
    docs: dict[tuple[str, int], Any] = {}
    cut, mute = set[tuple[str, int]](), set[tuple[str, int]]()
    for one in versions:
        for doc_id, samples in _by_doc(results["samples"][one.name]).items():
            place = (one.part, doc_id)
            docs.setdefault(place, samples[0]["doc"])
            if (one.name, doc_id) in lm.unscorable:
                mute.add(place)
            elif (one.name, doc_id) in lm.truncated:
                cut.add(place)
            else:
                answers[place][one.prompt] = _answer(one, samples)
    outcome = Outcome(task.name, items=len(docs), truncated=len(cut - mute))
    outcome.leave_out(len(mute))
    if any(one.validated for one in versions):
        outcome.flags.append("the data have no test split: the items are those of validation")
    chosen = []
    for place, doc in docs.items():
        if place in cut | mute:
            continue
        row = _row(task, place, doc)
        prompts = [answers[place][prompt] for prompt in sorted(answers[place])]
        _add(outcome, row, prompts)
        outcome.declared |= prompts[0].declared
        shown = prompts[0].shown
        if "gold" in shown:
            chosen.append(({**row, "choices": shown["choices"], "gold": shown["gold"]}, shown))
        if not outcome.samples:
            shown = {**shown, "asked": prompts[0].asked}
        part = {"subtask": place[0]} if place[0] else {}
        outcome.samples.append({"task": task.name, "item": row["id"], **shown, **part})
    outcome.flags.extend(degenerate([(row, shown["chosen"]) for row, shown in chosen]))
    outcome.reproduced = _aggregates(results["results"], versions)
    outcome.digest = _digest(versions, task.limit)
    return outcome


class Texts(NamedTuple):
    """What an lm-eval task says without a model.

    Attributes:
        items: rows with `id`, `cluster` and `text` (what the prompt shows of the
            document, and the right answer).
        examples: `id` and `text` of all documents that examples are chosen from; empty for a task
            without examples.
        digest: hash of every text that the task shows to a model.
    """

    items: list[Row]
    examples: list[Row]
    digest: str


def harness_texts(task: Harness) -> Texts:
    """The items of an lm-eval task, the pool of its examples, and the digest of its texts."""
    versions = load_tasks(task)
    items: list[Row] = []
    examples: list[Row] = []
    for one in versions:
        if one.prompt:
            continue
        for doc_id, doc in one.task.doc_iterator(limit=task.limit):
            items.append({**_row(task, (one.part, doc_id), doc), "text": _text(one, doc)})
        for number, doc in enumerate(_pool(one.task)):
            examples.append({"id": _id(one.part, number), "text": _text(one, doc)})
    return Texts(items, examples, _digest(versions, task.limit))


def _text(one: LoadedTask, doc: Any) -> str:
    """The fields that the prompt shows, and the right answer; without ids, labels and sources."""
    prompt = squeezed(str(one.task.doc_to_text(doc)))
    shown = {squeezed(value): value for value in doc.values() if isinstance(value, str)}
    shown = {plain: value for plain, value in shown.items() if plain and plain in prompt}
    texts = [v for plain, v in shown.items() if sum(plain in other for other in shown) == 1]
    target = one.task.doc_to_target(doc)
    if one.task.OUTPUT_TYPE == "multiple_choice":
        choices = [str(choice) for choice in one.task.doc_to_choice(doc)]
        gold = _gold(one, doc, choices)
        target = choices[gold] if gold is not None else ""
    if str(target) not in texts:
        texts.append(str(target))
    return " ".join(texts)


def _pool(task: Any) -> list[Any]:
    """The documents that examples come from: the first ones where they are fixed, else all."""
    shots = task.config.num_fewshot or 0
    if not shots:
        return []
    pool = list(task.sampler.fewshot_docs())
    return pool[:shots] if isinstance(task.sampler, FirstNSampler) else pool


def _add(outcome: Outcome, row: Row, prompts: Sequence[_Answer]) -> None:
    """The records of an item: the mean over its prompts, and each prompt's value beside it."""
    for name, (_, weight) in prompts[0].values.items():
        if not all(name in one.values for one in prompts):
            continue  # a metric that only one paraphrase's file asks for
        values = [one.values[name][0] for one in prompts]
        if not all(map(math.isfinite, values)):
            raise BadData(
                f"task {outcome.task}: the model gives no finite {name} for item {row['id']}; "
                "its weights are broken, as after a training that diverged"
            )
        outcome.add(row, name, math.fsum(values) / len(values), weight, by_prompt=values)


def _answer(one: LoadedTask, samples: Sequence[Mapping[str, Any]]) -> _Answer:
    """Measures of one item from lm-eval's samples, one for each of the task's filters."""
    first, doc = samples[0], samples[0]["doc"]
    values: dict[str, tuple[float, float]] = {}
    shown: dict[str, Any] = {"prompt": str(one.task.doc_to_text(doc))[-_LONGEST_PROMPT:]}
    if one.task.OUTPUT_TYPE == "multiple_choice":
        choices = [str(choice) for choice in one.task.doc_to_choice(doc)]
        found = np.array([float(resp[0]) for resp in first["filtered_resps"]])[: len(choices)]
        gold = _gold(one, doc, choices)
        sizes = np.array([len(choice.encode()) or 1 for choice in choices])
        if one.task.multiple_input:
            shown["prompt"] = first["arguments"][0][0][-_LONGEST_PROMPT:]
            sizes = np.ones(len(choices))
        if gold is not None:
            by_bytes = choice_measures((found / sizes)[None], gold)
            values |= {
                "p_gold": (by_bytes["p_gold"], 1),
                "acc_bytes": (by_bytes["accuracy"], 1),
                "margin": (by_bytes["margin"], 1),
                "brier": (by_bytes["brier"], 1),
            }
            best = int((found / sizes).argmax())
            shown |= {
                "choices": choices,
                "gold": gold,
                "chosen": best,
                "answer": choices[best],
                "reference": choices[gold],
            }
    else:
        shown["answer"] = str(first["filtered_resps"][0])
        shown["reference"] = str(first["target"])
    declared: dict[str, Measure] = {}
    for number, sample in enumerate(samples):
        for name in sample["metrics"]:
            value = sample[name]
            if isinstance(value, bool | int | float | np.number):
                own, about = _declared(one.task, name)
                own = own if number == 0 else f"{own}-{sample['filter']}"
                values[own], declared[own] = (float(value), 1), about
            elif name in _PAIRS and len(value) == 2:
                values[_PAIRS[name]] = (-value[0] / math.log(2), float(value[1]))
    return _Answer(values, shown, declared, str(first["arguments"][0][0]))


def _declared(task: Any, metric: str) -> tuple[str, Measure]:
    """The name under which the items' values of a metric stand, and what they are.

    Where lm-eval's aggregate is no mean, its direction is not that of the items' values: those
    behind a perplexity are log-likelihoods, any others have no direction that is known.
    """
    aggregate = task.aggregation().get(metric, mean)  # lm-eval's own default
    if aggregate is perplexity:
        return "loglikelihood", MEASURES["loglikelihood"]
    if aggregate not in _MEANS:
        return f"{metric}_items", foreign(f"{metric}_items")
    higher = task.higher_is_better().get(metric)
    if metric in _ALIKE:
        return metric, replace(MEASURES[metric], higher=higher)
    name = f"lm_eval_{metric}" if metric in MEASURES else metric
    return name, foreign(metric, higher)


def _gold(one: LoadedTask, doc: Any, choices: Sequence[str]) -> int | None:
    """The position of the right choice; None where a document has several or none."""
    gold = one.task.doc_to_text(doc) if one.task.multiple_input else one.task.doc_to_target(doc)
    if isinstance(gold, str):
        return choices.index(gold) if gold in choices else None
    return gold if isinstance(gold, int) and 0 <= gold < len(choices) else None


def _row(task: Harness, place: tuple[str, int], doc: Any) -> Row:
    """What a record says about an item; `subtask` names its task within a group."""
    part, doc_id = place
    item = _id(part, doc_id)
    cluster = item
    if task.cluster is not None:
        if task.cluster not in doc:
            raise BadData(f"task {task.name}: its documents have no field {task.cluster!r}")
        cluster = f"{part}/{doc[task.cluster]}" if part else str(doc[task.cluster])
    return {"id": item, "cluster": cluster, **({"subtask": part} if part else {})}


def _id(part: str, number: int) -> str:
    return f"{part}/{number}" if part else str(number)


def _by_doc(samples: Sequence[Mapping[str, Any]]) -> dict[int, list[Mapping[str, Any]]]:
    found: dict[int, list[Mapping[str, Any]]] = defaultdict(list)
    for sample in samples:
        found[sample["doc_id"]].append(sample)
    return found


def _aggregates(
    results: Mapping[str, Mapping[str, Any]], versions: Sequence[LoadedTask]
) -> dict[str, dict[str, float]]:
    """lm-eval's own aggregates of each of its tasks, to reproduce published numbers."""
    return {
        one.name: {
            name.removesuffix(",none"): float(value)
            for name, value in results[one.name].items()
            if "_stderr" not in name and isinstance(value, int | float)
        }
        for one in versions
    }


def _digest(versions: Sequence[LoadedTask], limit: int | None) -> str:
    """Hash of every text that the task shows to a model, whatever file or hub it came from."""
    digest = hashlib.sha256()
    for one in versions:
        task = one.task
        docs = [doc for _, doc in task.doc_iterator(limit=limit)]
        shots = task.config.num_fewshot or 0
        pool = list(task.sampler.fewshot_docs()) if shots else []
        told = [_told(task, doc) for doc in docs]
        examples = [_told(task, doc) for doc in pool]
        settings = [task.config.description, task.config.target_delimiter]
        settings += [task.config.fewshot_delimiter, str(shots), type(task.sampler).__name__]
        text = json.dumps([settings, told, examples], ensure_ascii=False, default=str)
        digest.update(text.encode())
    return digest.hexdigest()


def _told(task: Any, doc: Any) -> list[Any]:
    choices = task.doc_to_choice(doc) if task.config.doc_to_choice is not None else None
    return [task.doc_to_text(doc), choices, task.doc_to_target(doc)]
