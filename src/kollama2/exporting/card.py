"""The model card: `README.md` of an exported folder, out of the records, never out of thin air."""

import json
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kollama2.exporting.choose import Chosen
from kollama2.exporting.origin import UNKNOWN, Origin, origins
from kollama2.reporting.board import BoardRow, Leaderboard, Score
from kollama2.reporting.recommend import shortcomings
from kollama2.reporting.study import CellState, Study

README, NOTICE = "README.md", "NOTICE"
_LLAMA2 = (
    "Llama 2 is licensed under the LLAMA 2 Community License, "
    "Copyright (c) Meta Platforms, Inc. All Rights Reserved.\n"
)
_LEGAL = ("LICENSE*", "USE_POLICY*", "NOTICE*", "Responsible-Use-Guide*")
_ADAPTED = "adapted to Korean with kollama2"
_TRAINED = frozenset(("train", "prefer", "merge", "merged"))  # what a model's own card tells of it
_LIBRARY = {"hf": "transformers", "adapter": "peft", "gguf": "gguf", "ollama": "gguf"}


def write_readme(
    out: Path,
    chosen: Chosen,
    to: str,
    licences: Mapping[str, str],
    figures: Mapping[str, Any],
) -> None:
    """Write `README.md` with the hub's metadata, and the papers that the base's licence asks for.

    Args:
        out: the folder of the export; what stands there as its card is replaced.
        chosen: the model.
        to: the form it was written in.
        licences: of the base and the data by uri, where the user knows them.
        figures: what the export found out.
    """
    from huggingface_hub import ModelCard
    from jinja2 import Environment, StrictUndefined

    bases, data = origins(chosen, licences)
    llama2 = any(one.llama2 for one in bases)
    for pattern in _LEGAL:
        for path in sorted(chosen.folder.root.path.glob(pattern)):
            if path.is_file():
                shutil.copyfile(path, out / path.name)
    if llama2 and not (out / NOTICE).exists():
        (out / NOTICE).write_text(_LLAMA2, encoding="utf-8")
    source = Path(__file__).with_name("card.md.j2").read_text(encoding="utf-8")
    # Markdown for people; what a study's texts hold is shown, and the hub sanitises it.
    page = Environment(undefined=StrictUndefined, autoescape=False, trim_blocks=True)  # noqa: S701
    body = page.from_string(source).render(
        name=chosen.name,
        about=_about(chosen, bases, to),
        bases=bases,
        data=data,
        cautions=[
            f"{one.uri} {one.caution} ({one.licence})" for one in (*bases, *data) if one.caution
        ],
        llama2=llama2,
        study=_study(chosen) if chosen.study else None,
        recipe=_recipe(chosen),
        vocabulary=chosen.folder.card.vocabulary,
        checks=_checks(figures),
        safety=_safety(chosen),
        parameters=_parameters(chosen),
    )
    metadata = _metadata(chosen, bases, data, to).to_yaml()
    ModelCard(f"---\n{metadata}\n---\n\n{_tidy(body)}").save(out / README)


def _tidy(text: str) -> str:
    """Text without the empty lines that a template leaves."""
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def _about(chosen: Chosen, bases: Sequence[Origin], to: str) -> str:
    form = {
        "hf": "safetensors for transformers and vLLM",
        "adapter": "an adapter; it needs its base",
        "meta": "`consolidated.NN.pth` for Meta's Llama 2 code",
        "gguf": "a GGUF for llama.cpp",
        "ollama": "a GGUF and a Modelfile for Ollama",
    }[to]
    which = f" ({chosen.said})" if chosen.said else ""
    if chosen.study:
        untouched = chosen.study[2].base
        what = "untouched, the base of a study of kollama2" if untouched else _ADAPTED
    elif _TRAINED & chosen.folder.card.recipe.keys():
        what = "as kollama2 trained or merged it"
    else:
        what = "as it came" if chosen.folder.base is None else "with an adapter"
    return f"{' and '.join(one.uri for one in bases)}, {what}{which}. This folder holds {form}."


def _recipe(chosen: Chosen) -> str:
    recipe = chosen.folder.card.recipe
    return json.dumps(recipe, ensure_ascii=False, indent=1, sort_keys=True) if recipe else ""


def _metadata(chosen: Chosen, bases: Sequence[Origin], data: Sequence[Origin], to: str) -> Any:
    from huggingface_hub import ModelCardData

    hub = [one.hub for one in bases if one.hub]
    relation = "adapter" if to == "adapter" else "merge" if len(bases) > 1 else "finetune"
    licences = {one.licence for one in bases}
    licence = licences.pop() if len(licences) == 1 else UNKNOWN
    named = re.fullmatch(r"other \((.+)\)", licence)
    other = named[1] if named else UNKNOWN if licence == UNKNOWN else None
    return ModelCardData(
        base_model=hub[0] if len(hub) == 1 else hub or None,
        base_model_relation=relation if hub else None,
        datasets=[one.hub for one in data if one.hub] or None,
        language=["ko", "en"],
        library_name=_LIBRARY.get(to),
        license="other" if other else licence,
        license_name=other,
        pipeline_tag="text-generation",
        tags=["korean", "kollama2"],
        model_name=chosen.name if chosen.study else None,
        eval_results=_results(chosen) or None,
    )


def _results(chosen: Chosen) -> list[Any]:
    """The scores of the model's own evaluation, as the hub lists them."""
    from huggingface_hub import EvalResult

    if chosen.study is None:
        return []
    study, _, cell = chosen.study
    found = study.stages[cell.evaluate].evaluation
    return [
        EvalResult(
            task_type="text-generation",
            dataset_type=f"kollama2/{cell.suite}",
            dataset_name=name.rpartition("/")[0],
            # The hub tells results apart by this: one task under two settings would be merged.
            dataset_config=f"{name.rpartition('/')[0]} {found.suite}",
            metric_type=name.rpartition("/")[2],
            metric_value=round(score, 6),
        )
        for name, score in found.scores.items()
    ]


def _study(chosen: Chosen) -> dict[str, Any]:
    assert chosen.study is not None, "asked only for a study"
    study, board, cell = chosen.study
    rows = {row.recipe: row for row in board.rows}
    row = rows[cell.recipe]
    base = next(one for one in board.rows if one.base)
    return {
        "name": study.name,
        "recipe": cell.recipe,
        "options": ", ".join(f"{key}: {value}" for key, value in cell.options.items()),
        "seed": cell.seed,
        "seeds": ", ".join(map(str, row.seeds)),
        "suites": ", ".join(f"{name} ({', '.join(ids)})" for name, ids in row.trust.suites.items()),
        "uncertainty": board.uncertainty,
        "scores": [
            {
                "name": name,
                "better": board.measures.get(name, "unknown"),
                "score": f"{one.score:.4g}",
                "base": f"{base.measures[name].score:.4g}" if name in base.measures else "–",
                "difference": _interval(one),
            }
            for name, one in row.measures.items()
        ],
        "limits": _limits(study, row, board),
        "contamination": _contamination(row),
        "fidelity": _fidelity(row),
        "tokenizer": _tokenizer(study, cell),
        "version": study.lock.kollama2,
        "command": f"kollama2 run {study.name}.yaml && kollama2 export {study.name}:{cell.recipe} "
        "-o OUT",
        # Where a file lies on this machine is nobody else's business.
        "yaml": re.sub(r"file:/[^\s,}]*/", "file:", study.lock.yaml).strip(),
    }


def _interval(one: Score) -> str:
    found = one.difference
    return f"{found.value:+.3g} [{found.low:+.3g}, {found.high:+.3g}]" if found else "–"


def _limits(study: Study, row: BoardRow, board: Leaderboard) -> list[str]:
    faults = shortcomings(board, row)
    said = [f"**Not admissible by the study's own rule**: {'; '.join(faults)}."] if faults else []
    said += ["They hold for these items and prompts, not for Korean as a whole."]
    if not board.ranked:
        said.append("No verdict: too few trainings or items to tell recipes apart.")
    if len(row.seeds) == 1:
        said.append("One training: how much another seed would differ is not known.")
    unclear = [
        name
        for name, one in row.measures.items()
        if one.difference and one.difference.low <= 0 <= one.difference.high
    ]
    if unclear:
        said.append(f"Not told apart from the base: {', '.join(unclear)}.")
    guessed = [name for name, one in row.measures.items() if one.guessed]
    if guessed:
        said.append(f"At guessing level, so nothing was measured there: {', '.join(guessed)}.")
    others = tuple(f"{one}," for one in study.recipes[1:] if one != row.recipe)
    return [*said, *(one for one in board.warnings["en"] if not one.startswith(others))]


def _contamination(row: BoardRow) -> str:
    seen = row.trust.seen
    if seen is None:
        return "The training data were not looked through for the items of the suites."
    parts = [f"{task} {seen.flagged.get(task, 0)} of {n}" for task, n in seen.judged.items()]
    text = (
        f"Items that stand in the training data, of those long enough to judge: {', '.join(parts)}."
    )
    if seen.clean is not None:
        text += f" Without them the primary score is {seen.clean:.4g}."
    return text


def _fidelity(row: BoardRow) -> str:
    found = [f"{name} {one.score:.3g}" for name, one in row.measures.items() if "fidelity" in name]
    return f"{', '.join(found)}." if found else "Not measured."


def _safety(chosen: Chosen) -> str:
    text = (
        "Nobody has measured the safety of this model; test it for your use before you deploy it."
    )
    if chosen.study is None:
        return text
    _, board, cell = chosen.study
    row = next(one for one in board.rows if one.recipe == cell.recipe)
    found = [f"{name} {one.score:.3g}" for name, one in row.measures.items() if "safe" in name]
    return f"Measured: {', '.join(found)}. That is no clearance for any use." if found else text


def _tokenizer(study: Study, cell: CellState) -> list[dict[str, str]]:
    """What tokens cover, beside the base's."""
    own = study.stages[cell.evaluate].evaluation.tokenizer
    base = study.evaluations(study.recipes[0])
    theirs = base[0].tokenizer if base else {}
    return [
        {
            "language": language,
            "here": f"{cut.bytes_per_token:.2f}",
            "base": f"{theirs[language].bytes_per_token:.2f}" if language in theirs else "–",
            "broken": f"{cut.broken_share:.1%}",
        }
        for language, cut in own.items()
    ]


def _parameters(chosen: Chosen) -> str:
    from math import prod

    from kollama2.model.stored import opened

    with opened(chosen.folder.root.path) as files:
        count = sum(prod(file.shape(name)) for name, file in files.items())
    return f"{count:,}"


def _checks(figures: Mapping[str, Any]) -> list[str]:
    said = []
    if "divergence" in figures:
        nats = figures["divergence"]
        said.append(f"Merged weights differ from the adapter by {nats:.2g} nats a token (KL).")
    if "tensors" in figures:
        said.append(
            f"The file was read back: {figures['tensors']} tensors, and the ids of "
            f"{figures['lines']:,} lines of Korean, English and other texts."
        )
    if "file_bits" in figures:
        bits = ", ".join(
            f"{one} {figures['bits'][one]:.4f} → {value:.4f}"
            for one, value in figures["file_bits"].items()
        )
        said.append(f"Bits per byte on a few texts, before and after packing: {bits}.")
    if "llama.cpp" in figures:
        same, count = figures["llama.cpp"]
        said.append(f"llama.cpp goes on like the model for {same} of {count} greedy tokens.")
    return said
