"""The store: a folder per finished stage, found by its key, complete or absent.

<root>/<kind>-<key>/          finished: stage.json, done.json, MANIFEST.json and the outputs
<root>/<kind>-<key>.partial/  in work or interrupted; the stage resumes inside it
<root>/<kind>-<key>.lease     held by who works on it
"""

import json
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from kollama2.engine import commit, lease, provenance
from kollama2.engine.failure import in_one_sentence
from kollama2.engine.profile import Resources
from kollama2.engine.progress import Progress, Tell
from kollama2.engine.stage import Stage, Work, closure
from kollama2.errors import Corrupt, Denied, Fault, Missing, StorageTrouble, TryLater, storage
from kollama2.records.done import Done
from kollama2.records.read import DONE, Json, read

Execute = Callable[[Stage, Work], Mapping[str, Any]]


def say_damage(what: str, figures: Mapping[str, Any]) -> None:
    """A `Tell` that says on standard error which result was damaged, and nothing else."""
    if what == "damaged":
        print(figures["message"], file=sys.stderr)


def _run(stage: Stage, work: Work) -> Mapping[str, Any]:
    return stage.run(work)


@dataclass(frozen=True)
class Store:
    """Results by stage. Several processes and machines may use one store at once."""

    root: Path

    def path(self, stage: Stage) -> Path:
        """Where the finished folder of a stage is or will be."""
        return self.root / stage.name

    def input(self, stage: Stage, tell: Tell = say_damage) -> Path:
        """The finished folder of a stage for one that reads it, compared with what was written.

        Every file is hashed, once a process. What differs is moved aside, so that whoever needs
        the stage finds it unfinished and computes it again.

        Raises:
            Missing: the stage is not finished.
            Corrupt: its folder is damaged, or is that of another stage.
            Denied, StorageTrouble: it cannot be read.
        """
        folder = self.path(stage)
        try:
            if self._verified(folder, full=True) is None:
                raise Missing(f"{stage.name} is not in {self.root}; run its study again")
        except Corrupt as fault:
            again = f"the same command computes {stage.name} again"
            try:
                with self._lease(stage, tell):
                    if self._settled(stage, tell, full=True) is not None:
                        return folder  # while we waited, another process has made it again
            except (Denied, StorageTrouble):
                again = f"remove {folder}, which may not be done from here, and {again}"
            raise Corrupt(f"{fault}; {again}") from fault
        return folder

    def partial(self, stage: Stage) -> Path:
        """Where a stage is worked on."""
        return self.root / f"{stage.name}.partial"

    def record(self, stage: Stage) -> Done | None:
        """The content of `done.json`, or None if the stage is not finished or is damaged.

        Names and sizes of all files are compared with the manifest.
        """
        try:
            return self._verified(self.path(stage), stage=stage)
        except Corrupt:
            return None

    def records(self) -> Iterator[Done]:
        """The content of `done.json` of every finished stage.

        Raises:
            Corrupt, Missing: one cannot be read, or is of a newer kollama2 and lacks what is asked.
        """
        for folder in self._finished():
            yield read(folder / DONE, Done)

    def progress(self, stage: Stage) -> Json | None:
        """The last progress that an unfinished stage has told, also from another process."""
        try:
            return read(self.partial(stage) / "progress.json", Json)
        except Fault:  # not there yet, or published between two looks
            return None

    def holder(self, stage: Stage) -> str | None:
        """Who is working on a stage now, in words."""
        return lease.holder(self.root / f"{stage.name}.lease")

    def verify(self, full: bool = True) -> dict[str, str]:
        """The damaged folders among the finished ones: name to what is wrong."""
        problems = {}
        for folder in self._finished():
            try:
                commit.verify(folder, full)
            except Fault as fault:
                problems[folder.name] = str(fault)
        return problems

    def compute(
        self,
        stage: Stage,
        resources: Resources | None = None,
        tell: Tell = say_damage,
        *,
        execute: Execute = _run,
    ) -> Done:
        """The record of a stage, computed here unless it is finished or another process is at it.

        Args:
            stage: its inputs are finished.
            resources: what it may use.
            tell: receives what happens.
            execute: how to run it, once the folder is ready; another way is several processes.

        Raises:
            Missing, Corrupt: an input is not there or damaged; then it was moved aside.
            TryLater: the disk is full or another process took over; what is finished is kept.
            Denied, StorageTrouble: the store cannot be written.
            Failed: the stage stopped with an error; its traceback is in `error.log`.
            Fault: whatever the stage itself says is wrong.
        """
        record = self.record(stage)
        if record is not None:
            return record
        with storage(self.root):
            self.root.mkdir(parents=True, exist_ok=True)
        with self._lease(stage, tell) as held:
            record = self._settled(stage, tell)
            if record is not None:
                return record
            for needed in stage.inputs():
                if not self.path(needed).is_dir():
                    raise Missing(f"{stage.name} needs {needed.name}, which is not in {self.root}")
                self.input(needed, tell)
            self._check_outside(stage)
            tell("started", {})
            return self._work(stage, resources or Resources(), tell, execute, held)

    def _lease(self, stage: Stage, tell: Tell) -> lease.Lease:
        file = self.root / f"{stage.name}.lease"
        return lease.Lease(file, lambda holder: tell("waiting", {"holder": holder}))

    def _work(
        self, stage: Stage, resources: Resources, tell: Tell, execute: Execute, held: lease.Lease
    ) -> Done:
        partial, scratch = self.partial(stage), self.partial(stage) / "scratch"
        with in_one_sentence(stage, partial):
            sealed = self._sealed(partial, scratch)
            if sealed is not None:
                held.fence()
                commit.move(partial, self.path(stage))
                return sealed
            scratch.mkdir(parents=True, exist_ok=True)
            commit.remove_leftovers(partial)
            (partial / "error.log").unlink(missing_ok=True)
            commit.write_json(partial / "stage.json", stage.recipe())
            display = Progress(partial / "progress.json", self.progress(stage) or {}, tell)
            work = Work(
                partial, scratch, resources, lambda needed: self.input(needed, tell), display
            )
            cpu, begun = provenance.cpu_seconds(), datetime.now(timezone.utc)
            metrics = execute(stage, work)
            self._check_outside(stage)  # it may have changed while it was read
            record = Done(
                name=stage.name,
                kind=stage.kind,
                key=stage.key,
                metrics=_as_json(metrics),
                seconds=round(display.seconds(), 3),
                cpu_seconds=round(provenance.cpu_seconds() - cpu, 3),
                attempts=display.attempts,
                peak_memory_bytes=provenance.peak_memory_bytes(),
                peak_gpu_memory_bytes=provenance.peak_gpu_memory_bytes(),
                started=begun.isoformat(timespec="seconds"),
                finished=datetime.now(timezone.utc).isoformat(timespec="seconds"),
                inputs=[needed.name for needed in stage.inputs()],
                **provenance.provenance(resources.threads),
            )
            display.file.unlink(missing_ok=True)
            _redact_log(partial / "log.txt")
            commit.write_json(partial / DONE, record.plain())
            # Scratch holds the checkpoints, so it goes only when the result is safe on the disk.
            commit.seal(partial, leave=scratch)
            shutil.rmtree(scratch)
            held.fence()
            commit.move(partial, self.path(stage))
        return record

    def _sealed(self, partial: Path, scratch: Path) -> Done | None:
        """The record if only the last rename is missing, because we were killed before it."""
        if not (partial / commit.MANIFEST).is_file():
            return None
        shutil.rmtree(scratch, ignore_errors=True)
        try:
            commit.verify(partial, full=True)
        except Corrupt:
            (partial / commit.MANIFEST).unlink()
            return None
        return read(partial / DONE, Done)

    def _settled(self, stage: Stage, tell: Tell, *, full: bool = False) -> Done | None:
        """The record if the stage is finished; a damaged folder is moved aside."""
        folder = self.path(stage)
        try:
            return self._verified(folder, full, stage)
        except Corrupt as fault:
            n = 1
            while (aside := folder.with_name(f"{folder.name}.corrupt-{n}")).exists():
                n += 1
            with storage(folder):
                folder.rename(aside)
            message = f"{fault}; it is now {aside.name} and is computed again"
            tell("damaged", {"message": message})
            return None

    def _verified(
        self, folder: Path, full: bool = False, stage: Stage | None = None
    ) -> Done | None:
        try:
            with storage(folder):
                if not folder.is_dir():
                    return None
                commit.verify(folder, full, once=True)
                record = read(folder / DONE, Done)
        except StorageTrouble as fault:
            if isinstance(fault.__cause__, FileNotFoundError) and not folder.exists():
                return None  # moved aside by another process, between two of our looks
            raise
        # The manifest binds the files to each other, this binds them to the folder's name.
        if record.name != folder.name:
            raise Corrupt(f"{folder} holds the result of {record.name}")
        if stage is not None and not stage.stands(self.root):
            raise Corrupt(f"{folder} points at a place where its content is not any more")
        return record

    def _check_outside(self, stage: Stage) -> None:
        direct = {stage.name, *(one.name for one in stage.inputs())}
        for one in closure(stage).values():
            if not one.stands(self.root, direct=one.name in direct):
                raise TryLater(
                    f"what {one.name} points at has changed since this study was read, so nothing "
                    "made of it is kept under the old name: give the same command again"
                )

    def _finished(self) -> Iterator[Path]:
        if self.root.is_dir():
            for folder in sorted(self.root.iterdir()):
                if (folder / commit.MANIFEST).is_file() and "." not in folder.name:
                    yield folder


def _as_json(metrics: Mapping[str, Any]) -> Json:
    """Metrics as JSON holds them: numpy's numbers as floats, NaN and infinity as null.

    They come at the end of hours of work, which must not fail because of how a number is spelt.
    """
    text = json.dumps(dict(metrics), default=float)
    plain: Json = json.loads(text, parse_constant=lambda name: None)
    return plain


def _redact_log(log: Path) -> None:
    if log.is_file() and not log.stat().st_size:
        log.unlink()
    elif log.is_file():
        text = log.read_text(encoding="utf-8", errors="replace")
        clean = provenance.redact(text)
        if clean != text:
            log.write_text(clean, encoding="utf-8")
