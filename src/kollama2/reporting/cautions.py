"""What a reader must know before trusting a table: gaps, failures, seen items, mixed versions."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from kollama2.evaluation.contrast import Contrast
from kollama2.evaluation.statistics import Difference, fragile, turned
from kollama2.locale import LANGUAGES
from kollama2.reporting.board import BoardRow
from kollama2.reporting.headline import Sentences, gathered
from kollama2.reporting.study import Study
from kollama2.reporting.texts import Texts, say_all, texts
from kollama2.reporting.trust import by_prompt

# What `evaluation` says of a model that gives one class only.
DEGENERATE = re.compile(r"degenerate: (?P<share>\d+%) of answers are (?P<label>.+)")
# What it says of answers with one fault.
FAULTY = re.compile(r"(?P<fault>[a-z]+): (?P<count>\d+) of (?P<all>\d+) answers .+")
# What it says of the tokenizer and the data.
TOLD = {
    "flag.left_out": r"(?P<count>\d+) of (?P<total>\d+) items are left out: the tokenizer .+",
    "flag.changed": r"the tokenizer changes (?P<changed>[\d,]+) of (?P<bytes>[\d,]+) bytes in "
    r"(?P<count>\d+) of (?P<total>\d+) items",
    "flag.validation": r"the data have no test split: .+",
}
# Versions that differ between stages of one study can change its result.
DECISIVE_PACKAGES = ("torch", "transformers", "peft", "trl", "bitsandbytes")


def warnings(
    study: Study, contrasts: Mapping[str, Contrast], rows: Sequence[BoardRow]
) -> Sentences:
    """What a reader must know before trusting the table, in every language."""
    said = [text for row in rows for text in _seen(row, study.lock.primary)]
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
    said += _turned(study, contrasts) + _fragile(contrasts.get(study.lock.primary))
    for recipe in study.recipes:
        said += _of_recipe(study, recipe)
    return gathered(said + _mixed(study))


def _turned(study: Study, contrasts: Mapping[str, Contrast]) -> list[Texts]:
    """Measures on which the order of two recipes depends on the prompt."""
    prompts: dict[str, dict[str, list[float]]] = {}
    for recipe in study.recipes:
        for measure, scores in by_prompt(study, recipe).items():
            prompts.setdefault(measure, {})[recipe] = scores
    said = []
    for measure, by_recipe in prompts.items():
        contrast = contrasts.get(measure)
        if contrast is None or contrast.comparison is None:
            continue
        pairs = contrast.comparison.pairs
        found = turned(pairs, by_recipe)
        if found:
            said.append(say_all("warning.prompts", **_named(contrast, found, pairs)))
    return said


def _fragile(primary: Contrast | None) -> list[Texts]:
    """Whether the order of two recipes on the primary measure hangs on one seed."""
    found = fragile(primary.comparison) if primary and primary.comparison else ()
    if not found or primary is None or primary.comparison is None:
        return []
    named = _named(primary, found, primary.comparison.pairs)
    return [say_all("warning.seed", **named)]


def _named(
    contrast: Contrast, found: Sequence[Difference], pairs: Sequence[Difference]
) -> dict[str, Any]:
    """What a sentence on differences that turn round names: how many, and the first of them."""
    first = found[0]
    ahead = (first.value > 0) == contrast.about.higher
    better, worse = (first.left, first.right) if ahead else (first.right, first.left)
    separable = sum(pair.separable for pair in pairs)
    counts = {"count": len(found), "pairs": separable}
    return {"measure": contrast.measure, **counts, "better": better, "worse": worse}


def _of_recipe(study: Study, recipe: str) -> list[Texts]:
    """Items cut off, answers empty or broken, classes degenerate; summed over the trainings."""
    counts: dict[tuple[str, str], list[int]] = {}
    flags: dict[tuple[str, str], None] = {}
    for metrics in study.evaluations(recipe):
        for task, found in metrics.counts.items():
            # Empty answers are among the failed ones; they are told once.
            broken = max(found.failed - found.empty, 0)
            kinds = {"truncated": found.truncated, "empty": found.empty, "broken": broken}
            for kind, count in kinds.items():
                if count:
                    counts.setdefault((kind, task), []).append(count)
        flags.update({(task, flag): None for task, said in metrics.flags.items() for flag in said})
    said = [
        say_all(f"warning.{kind}", recipe=recipe, task=task, count=sum(each), trainings=len(each))
        for (kind, task), each in counts.items()
    ]
    for task, flag in flags:
        suspicious = DEGENERATE.fullmatch(flag) or FAULTY.fullmatch(flag)
        key = "warning.flag" if suspicious else "warning.told"
        said.append(say_all(key, recipe=recipe, task=task, flag=flag_text(flag)))
    return said


def flag_text(flag: str) -> Texts:
    """A flag of the evaluation in every language; one that is not known keeps its own words."""
    faulty = FAULTY.fullmatch(flag)
    if faulty and f"flag.{faulty['fault']}" in texts():
        return say_all(f"flag.{faulty['fault']}", **{k: faulty[k] for k in ("count", "all")})
    for key, form in TOLD.items():
        if told := re.fullmatch(form, flag):
            return say_all(key, **told.groupdict())
    found = DEGENERATE.fullmatch(flag)
    if found is None:
        return dict.fromkeys(LANGUAGES, flag)
    choice = re.fullmatch(r"choice (\d+)", found["label"])
    key = "flag.choice" if choice else "flag.label"
    label = choice[1] if choice else found["label"].strip("'\"")
    return say_all(key, share=found["share"], label=label)


def _seen(row: BoardRow, primary: str) -> list[Texts]:
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
    for suite, hashes in study.hashes.items():
        if len(hashes) > 1:
            listed = ", ".join(hashes)
            said.append(say_all("warning.suites", suite=suite, hashes=listed))
    for package in DECISIVE_PACKAGES:
        versions = {
            stage.record.packages[package]
            for stage in study.stages.values()
            if package in stage.record.packages
        }
        if len(versions) > 1:
            listed = ", ".join(sorted(versions))
            said.append(say_all("warning.versions", package=package, versions=listed))
    return said
