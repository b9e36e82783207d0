"""The model card: `README.md` of an exported folder, out of the records, never out of thin air."""

import json
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kollama2.exporting.choose import Chosen, Pick
from kollama2.exporting.origin import UNKNOWN, Origin, Origins
from kollama2.reporting.recommend import shortcomings

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
    origins: Origins,
    figures: Mapping[str, Any],
) -> None:
    """Write `README.md` with the hub's metadata, and the papers that the base's licence asks for.

    Args:
        out: the folder of the export; what stands there as its card is replaced.
        chosen: the model.
        to: the form it was written in.
        origins: what the model was made of.
        figures: what the export found out.
    """
    from huggingface_hub import ModelCard
    from jinja2 import Environment, StrictUndefined

    from kollama2.model.stored import opened

    llama2 = any(one.llama2 for one in origins.bases)
    for pattern in _LEGAL:
        for path in sorted(chosen.folder.root.path.glob(pattern)):
            if path.is_file():
                shutil.copyfile(path, out / path.name)
    if llama2 and not (out / NOTICE).exists():
        (out / NOTICE).write_text(_LLAMA2, encoding="utf-8")
    source = Path(__file__).with_name("card.md.j2").read_text(encoding="utf-8")
    # Markdown for people; what a study's texts hold is shown, and the hub sanitises it.
    page = Environment(undefined=StrictUndefined, autoescape=False, trim_blocks=True)  # noqa: S701
    pick, recipe = chosen.pick, chosen.folder.card.recipe
    with opened(chosen.folder.root.path) as files:
        parameters = sum(file.numbers(name) for name, file in files.items())
    body = page.from_string(source).render(
        name=chosen.name,
        about=_about(chosen, origins.bases, to),
        bases=origins.bases,
        data=origins.data,
        llama2=llama2,
        pick=pick,
        limits=_limits(pick) if pick else [],
        # Where a file lies on this machine is nobody else's business.
        yaml=re.sub(r"file:/[^\s,}]*/", "file:", pick.study.lock.yaml).strip() if pick else "",
        recipe=json.dumps(recipe, ensure_ascii=False, indent=1, sort_keys=True) if recipe else "",
        vocabulary=chosen.folder.card.vocabulary,
        figures=figures,
        parameters=parameters,
    )
    metadata = _metadata(chosen, origins, to).to_yaml()
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
    if chosen.pick:
        untouched = chosen.pick.cell.base
        what = "untouched, the base of a study of kollama2" if untouched else _ADAPTED
    elif _TRAINED & chosen.folder.card.recipe.keys():
        what = "as kollama2 trained or merged it"
    else:
        what = "as it came" if chosen.folder.base is None else "with an adapter"
    return f"{' and '.join(one.uri for one in bases)}, {what}{which}. This folder holds {form}."


def _metadata(chosen: Chosen, origins: Origins, to: str) -> Any:
    from huggingface_hub import ModelCardData

    hub = [one.hub for one in origins.bases if one.hub]
    merged = len(origins.bases) > 1
    relation = "adapter" if to == "adapter" else "merge" if merged else "finetune"
    named = re.fullmatch(r"other \((.+)\)", origins.licence)
    other = named[1] if named else UNKNOWN if origins.licence == UNKNOWN else None
    return ModelCardData(
        base_model=hub[0] if len(hub) == 1 else hub or None,
        base_model_relation=relation if hub else None,
        datasets=[one.hub for one in origins.data if one.hub] or None,
        language=["ko", "en"],
        library_name=_LIBRARY.get(to),
        license="other" if other else origins.licence,
        license_name=other,
        pipeline_tag="text-generation",
        tags=["korean", "kollama2"],
        model_name=chosen.name if chosen.pick else None,
        eval_results=_results(chosen.pick) if chosen.pick else None,
    )


def _results(pick: Pick) -> list[Any] | None:
    """The scores of the model's own evaluation, as the hub lists them; None where it has none."""
    from huggingface_hub import EvalResult

    found = pick.study.stages[pick.cell.evaluate].evaluation
    return [
        EvalResult(
            task_type="text-generation",
            dataset_type=f"kollama2/{pick.cell.suite}",
            dataset_name=name.rpartition("/")[0],
            # The hub tells results apart by this: one task under two settings would be merged.
            dataset_config=f"{name.rpartition('/')[0]} {found.suite}",
            metric_type=name.rpartition("/")[2],
            metric_value=round(score, 6),
        )
        for name, score in found.scores.items()
    ] or None


def _limits(pick: Pick) -> list[str]:
    """What the figures of a study cannot say, as sentences."""
    study, board, row, _ = pick
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
