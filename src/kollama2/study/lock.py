"""Lock: a study with every source pinned, its cells as stages, and the record for the report."""

from dataclasses import dataclass
from pathlib import Path

from kollama2 import __version__
from kollama2.engine.graph import closure
from kollama2.engine.hub import load_mirrors
from kollama2.engine.stage import Stage
from kollama2.engine.store import Store
from kollama2.errors import BadUsage
from kollama2.records.lock import Cell as LockedCell
from kollama2.records.lock import Lock, Suite
from kollama2.stages import Ask
from kollama2.study.cells import Cell, cells
from kollama2.study.document import Document
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

    def stage_names(self) -> dict[str, str]:
        """What a person calls each stage: its kind and the recipes that use it."""
        users: dict[str, dict[str, None]] = {}
        kinds: dict[str, str] = {}
        for cell in self.cells:
            for stage in cell.closure().values():
                label = cell.recipe if len(self.study.seeds) == 1 else f"{cell.recipe}/{cell.seed}"
                users.setdefault(stage.name, {})[label] = None
                kinds[stage.name] = stage.kind
        return {name: _label(kinds[name], list(labels)) for name, labels in users.items()}

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
        )


def lock(path: Path, store: Path, mirrors: Path | None = None) -> Locked:
    """Read a study and pin its sources.

    Args:
        path: the study's YAML file.
        store: the folder of the store, which remembers content hashes.
        mirrors: a mirrors file, or None.

    Raises:
        BadUsage: the study, or something it names, cannot be.
    """
    document = Document(path)
    study = document.read(Study)
    locator = Locator(path.parent, load_mirrors(mirrors), store / "hashes.json")
    locked = Locked(study, document, tuple(cells(study, document, locator)))
    locator.save()
    check_merges(locked.targets, Store(store))
    return locked


def find(name: str | None) -> Path:
    """The file of a study: a path, the name of a study in `studies/`, or the embedded one.

    Raises:
        BadUsage: there is no such study.
    """
    if name is None or name == "quick":
        return QUICK
    for candidate in (Path(name), Path("studies") / f"{name}.yaml"):
        if candidate.is_file():
            return candidate
    ready = sorted(file.stem for file in Path("studies").glob("*.yaml"))
    raise BadUsage(
        f"no study {name!r}: give the path of a YAML file"
        + (f" or one of {', '.join(['quick', *ready])}" if ready else ", or none for the quick one")
    )


def _label(kind: str, recipes: list[str]) -> str:
    return f"{kind} {recipes[0]}" if len(recipes) == 1 else f"{kind} for {len(recipes)} cells"


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
