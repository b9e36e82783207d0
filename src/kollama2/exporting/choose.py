"""Choose: the model that is meant by a name, or by a study and one of its recipes."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from kollama2.engine.commit import verify
from kollama2.engine.document import near
from kollama2.engine.hub import PREFIX
from kollama2.errors import BadUsage, Missing
from kollama2.locale import say
from kollama2.model.find import BUILTIN, find_model
from kollama2.model.folder import ModelFolder
from kollama2.model.gguf.convert import Tell
from kollama2.model.gguf.file import SUFFIX
from kollama2.reporting.board import BoardRow, Leaderboard
from kollama2.reporting.recommend import shortcomings
from kollama2.reporting.study import CellState, Study, kind_of, load
from kollama2.reporting.table import leaderboard
from kollama2.stages.source import content

_SCHEMES = (PREFIX, "file:", "builtin:")


class Pick(NamedTuple):
    """A model in the study that it comes from.

    Attributes:
        study: the study.
        board: its leaderboard.
        row: of the model's recipe.
        cell: whose model it is.
    """

    study: Study
    board: Leaderboard
    row: BoardRow
    cell: CellState


@dataclass(frozen=True)
class Chosen:
    """A model to take away.

    Attributes:
        name: what its files are called.
        folder: where it lies.
        pick: where it stands in its study; None for a folder.
        said: which model that is, as a sentence; empty where it was named itself.
        base: the uri by which its whole weights were asked for; empty where they were not by one.
    """

    name: str
    folder: ModelFolder
    pick: Pick | None = None
    said: str = ""
    base: str = ""


def choose(
    model: str | Path | ModelFolder,
    store: Path,
    *,
    onto: str | None = None,
    mirrors: Mapping[str, Path],
    tell: Tell,
) -> Chosen:
    """The model of a name.

    Args:
        model: a folder that was read; the name of a folder or a GGUF file, `hf:owner/name`,
            `builtin:miniature`; a study that the store knows, whose recommended recipe is meant; or
            `STUDY:RECIPE`.
        store: the folder of the store.
        onto: the base of an adapter, in the place of its own.
        mirrors: local copies of hub repositories.
        tell: receives what is said of unpacking.

    Raises:
        BadUsage: there is no such model, study or recipe, or the study recommends none.
        Missing: the recipe is not computed.
        Corrupt: a stored file differs from what was written.
    """
    if isinstance(model, ModelFolder):
        return Chosen(model.path.resolve().name, model)
    model = str(model)
    name, colon, recipe = model.partition(":")
    known = (store / "studies" / f"{name}.json").is_file()
    if model in BUILTIN or model.startswith(_SCHEMES) or Path(model).exists() or not known:
        if not model.startswith(_SCHEMES) and not Path(model).exists():
            studies = sorted(one.stem for one in (store / "studies").glob("*.json"))
            raise BadUsage(
                say(
                    "{model}: there is no such model, and {store} knows no study of that name (it "
                    "knows: {studies}); name another store",
                    model=model,
                    store=store,
                    studies=", ".join(studies) or say("none"),
                )
            )
        if known and not colon:
            tell(
                say(
                    "{model} is the folder here, not the study of that name; name that as "
                    "STUDY:RECIPE",
                    model=model,
                )
            )
        folder = find_model(model, onto, mirrors, tell)
        title = Path(model).resolve().name.replace(":", "-").removesuffix(SUFFIX)
        asked = model if folder.base is None else str(onto or "")
        uri = asked if asked in BUILTIN or asked.startswith(PREFIX) else ""
        return Chosen(title, folder, base=uri)
    if onto is not None:
        raise BadUsage("--onto is for an adapter's folder; a study knows the base of its adapters")
    if colon and not recipe:
        raise BadUsage(
            f"{model} names no recipe; it is {name} for the recommended one or {name}:RECIPE"
        )
    return _of_study(load(store, name), leaderboard(store, name), recipe)


def _of_study(study: Study, board: Leaderboard, recipe: str) -> Chosen:
    said = ""
    if not recipe:
        if board.recommended is None:
            raise BadUsage(
                f"{study.name} recommends no recipe: {board.headline['en'][0]} Name one as "
                f"{study.name}:RECIPE ({', '.join(study.recipes)})"
            )
        recipe = board.recommended
        said = "recommended by the study" if board.ranked else "the most promising, not a verdict"
    if recipe not in study.recipes:
        hint = near(recipe, study.recipes)
        raise BadUsage(
            say(
                "{study} has no recipe {recipe!r}; {hint}",
                study=study.name, recipe=recipe, hint=hint,
            )
        )  # fmt: skip
    row = next(one for one in board.rows if one.recipe == recipe)
    if faults := shortcomings(board, row):
        said = f"not admissible: {'; '.join(faults)}"
    found = _best(study, recipe)
    folder = study.store / found.model
    verify(folder, full=True)
    place = content(folder) if kind_of(found.model) == "source" else folder / "model"
    several = len({cell.model for cell in study.of(recipe)}) > 1
    which = f"seed {found.seed}, the best of those computed" if several else f"seed {found.seed}"
    return Chosen(
        f"{study.name}-{recipe}",
        ModelFolder.read(place),
        Pick(study, board, row, found),
        f"{recipe} of {study.name}{f' ({said})' if said else ''}: {which}",
    )


def _best(study: Study, recipe: str) -> CellState:
    """The measured cell of a recipe with the best primary score, the first of equals.

    Raises:
        Missing: none is measured.
    """
    measure = study.lock.primary
    done = [cell for cell in study.of(recipe) if cell.done]
    if not done:
        raise Missing(
            say(
                "{recipe} of {study} is not computed; kollama2 run {study}",
                recipe=recipe, study=study.name,
            )
        )  # fmt: skip
    scored = [
        (study.stages[cell.evaluate].evaluation, cell)
        for cell in done
        if measure in study.stages[cell.evaluate].evaluation.scores
    ]
    if not scored:
        return done[0]
    higher = scored[0][0].measures[measure].higher if measure in scored[0][0].measures else True
    sign = -1 if higher is False else 1
    return max(scored, key=lambda one: sign * one[0].scores[measure])[1]
