"""Lock: a study with every source pinned, its cells as stages, and the record for the report."""

from dataclasses import dataclass
from pathlib import Path

from kollama2 import __version__
from kollama2.engine.document import Document
from kollama2.engine.graph import closure
from kollama2.engine.hub import load_mirrors
from kollama2.engine.stage import Stage
from kollama2.engine.store import Store
from kollama2.errors import BadUsage
from kollama2.locale import Message, mark, say
from kollama2.records.lock import Cell as LockedCell
from kollama2.records.lock import Lock, Suite
from kollama2.records.read import read
from kollama2.stages import Ask
from kollama2.study.cells import Cell, cells
from kollama2.study.locate import Locator
from kollama2.study.merges import check_merges
from kollama2.study.schema import Study

QUICK = Path(__file__).parent / "quick.yaml"


@dataclass(frozen=True)
class Locked:
    """A study ready to be computed."""

    study: Study
    document: Document
    cells: tuple[Cell, ...]

    @property
    def targets(self) -> list[Stage]:
        """The stages that answer the study: an evaluation a cell, and what it can be trusted."""
        return [stage for cell in self.cells for stage in cell.targets]

    def stage_names(self) -> dict[str, Message]:
        """What a person calls each stage: its kind and the recipes that use it."""
        users: dict[str, dict[str, None]] = {}
        kinds: dict[str, str] = {}
        for cell in self.cells:
            for stage in cell.closure().values():
                label = cell.recipe if len(self.study.seeds) == 1 else f"{cell.recipe}/{cell.seed}"
                users.setdefault(stage.name, {})[label] = None
                kinds[stage.name] = stage.kind
        return {
            name: Message("{kind} {recipe}", {"kind": kinds[name], "recipe": next(iter(labels))})
            if len(labels) == 1
            else Message(
                mark("{kind} for {count:cell}"), {"kind": kinds[name], "count": len(labels)}
            )
            for name, labels in users.items()
        }

    def record(self) -> Lock:
        """What the report reads: cells by the names of their folders, without any path."""
        first = self.cells[0].stage.suite
        return Lock(
            study=self.study.name,
            about=self.study.about,
            kollama2=__version__,
            yaml=self.document.text,
            primary=first.primary,
            english=first.english,
            suites={cell.suite: _suite(cell) for cell in self.cells},
            seeds=self.study.seeds,
            cells=tuple(map(_cell, self.cells)),
        ).sealed()


def lock(document: Document, store: Path, mirrors: Path | None = None) -> Locked:
    """Read a study and pin its sources.

    Raises:
        BadUsage: the study, or something that it names, asks for something impossible.
    """
    study = document.read(Study)
    locator = Locator(document.folder, load_mirrors(mirrors), store / "hashes.json")
    locked = Locked(study, document, tuple(cells(study, document, locator)))
    locator.save()
    check_merges(locked.targets, Store(store))
    return locked


def find(name: str | None, store: Path) -> Document:
    """A study by the path of its file or its name in `studies/` or the store; or the embedded one.

    Raises:
        BadUsage: there is no such study.
    """
    if (file := _file(name)) is not None:
        return Document(file)
    kept = {path.stem: path for path in sorted((store / "studies").glob("*.json"))}
    if name in kept:
        return Document(kept[name], read(kept[name], Lock).yaml)
    # `NAME.suite.yaml` and `NAME.mirrors.yaml` lie beside the studies and are none.
    files = sorted(f.stem for f in Path("studies").glob("*.yaml") if "." not in f.stem)
    ready = dict.fromkeys(["quick", *files, *kept])
    raise BadUsage(
        say(
            "no study {name!r}: give the path of a YAML file or one of {known}",
            name=name,
            known=", ".join(ready),
        )
    )


def name_of(study: str | None, store: Path) -> str:
    """The name of a study that is given as for `find`; one in the store need not be valid any more.

    Raises:
        BadUsage: there is no such study.
    """
    if study and _file(study) is None and (store / "studies" / f"{study}.json").is_file():
        return study
    return find(study, store).read(Study).name


def _file(name: str | None) -> Path | None:
    if name is None or name == "quick":
        return QUICK
    places = (Path(name), Path("studies") / f"{name}.yaml")
    return next((place for place in places if place.is_file()), None)


def _suite(cell: Cell) -> Suite:
    suite = cell.stage.suite
    return Suite(tasks=tuple(task.name for task in suite.tasks), measures=tuple(suite.measures()))


def _cell(cell: Cell) -> LockedCell:
    # What answers by an API is a model that has no path here.
    model = cell.stage if isinstance(cell.stage, Ask) else cell.stage.model
    return LockedCell(
        recipe=cell.recipe,
        options=dict(cell.options),
        seed=cell.seed,
        suite=cell.suite,
        base=cell.base,
        evaluate=cell.stage.name,
        model=model.name,
        path=() if isinstance(model, Ask) else tuple(one.name for one in closure(model).values()),
        data=tuple(source.name for source in cell.stage.data.values()),
        contamination=cell.check.name if cell.check else None,
    )
