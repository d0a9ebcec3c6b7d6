"""One run of a grid: what it is to be trained by, and how far it is, read from the disk."""

import shutil
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path

from gcahng.ablation.grid import Cell, Grid
from gcahng.config import ExperimentConfig, differing_keys, dump_config, parse_config
from gcahng.files import write_text
from gcahng.runs.folder import RunFolder
from gcahng.runs.record import RunRecord, Split, epochs_for, read_record


class State(Enum):
    """How far a run is; one that was trained with other settings is of another grid."""

    OPEN = auto()
    FINISHED = auto()
    FAILED = auto()
    CHANGED = auto()


@dataclass(frozen=True, eq=False)
class CellRun:
    """A cell with one seed.

    Attributes:
        cell: What is trained.
        seed: Its seed.
        home: The folder of the grid.
        split: Whose figures are reported.
        needs: For equal time, the runs with the same seed of the same experiment and of the one
            whose time it gets.
    """

    cell: Cell
    seed: int
    home: Path
    split: Split
    needs: tuple["CellRun", ...] = ()

    @property
    def name(self) -> str:
        """Of its folder."""
        return f"{self.cell.name}-seed{self.seed}"

    @property
    def folder(self) -> RunFolder:
        """Where it is kept, an ordinary run."""
        return RunFolder(self.home / self.name)

    @property
    def settings(self) -> Path:
        """The experiment that it is trained by, written before it begins."""
        return self.home / "started" / f"{self.name}.yaml"

    @property
    def log(self) -> Path:
        """What its process printed."""
        return self.settings.with_suffix(".log")

    @property
    def failure(self) -> Path:
        """The sentence that it ended with, if it failed."""
        return self.settings.with_suffix(".failed")

    def config(self) -> ExperimentConfig | None:
        """The experiment; None for equal time until the runs that it needs have finished."""
        config = self.cell.config.model_copy(update={"seed": self.seed})
        if not self.needs:
            return config
        if not all(run.finished for run in self.needs):
            return None
        measured, target = (run.record() for run in self.needs)
        train = config.train.model_copy(update={"epochs": epochs_for(target, measured)})
        return config.model_copy(update={"train": train})

    def status(self) -> tuple[State, str]:
        """How far it is, and why if as things are it will never have figures."""
        config = self.config()
        changed = [] if config is None else self._changed(config)
        if changed:
            keys = ", ".join(changed)
            return State.CHANGED, f"'{self.folder.path}' was trained with other settings ({keys})"
        if self.failure.exists():
            return State.FAILED, self.failure.read_text(encoding="utf-8").strip()
        finished = config is not None and self.folder.results.is_file()
        return State.FINISHED if finished else State.OPEN, ""

    @property
    def finished(self) -> bool:
        """Whether it has figures."""
        return self.status()[0] is State.FINISHED

    def _changed(self, config: ExperimentConfig) -> list[str]:
        """Keys in which what was trained differs from what is to be trained."""
        if not (self.folder.last.exists() or self.folder.results.exists()):
            return []
        there = self.folder.config
        return differing_keys(parse_config(there.read_text(encoding="utf-8"), str(there)), config)

    def record(self) -> RunRecord:
        """Its results, once it has finished."""
        return read_record(self.folder, self.cell.name)

    def arguments(self) -> list[str]:
        """What to tell `gcahng train` for it to begin or to go on."""
        config = self.config()
        assert config is not None
        self.failure.unlink(missing_ok=True)
        if self.folder.last.exists():
            return ["--resume", str(self.folder.path)]
        write_text(self.settings, dump_config(config))
        return [str(self.settings), "--run", str(self.folder.path)]

    def fail(self, sentence: str) -> None:
        """Keep why it failed."""
        write_text(self.failure, sentence + "\n")

    def remove(self) -> None:
        """Delete all of it, to start over."""
        for file in (self.settings, self.log, self.failure):
            file.unlink(missing_ok=True)
        if self.folder.path.exists():
            shutil.rmtree(self.folder.path)


def grid_runs(grid: Grid) -> list[CellRun]:
    """Every run, seed by seed: a grid that is stopped early has whole rows of few seeds."""
    runs: list[CellRun] = []
    for seed in grid.seeds:
        with_seed: dict[str, CellRun] = {}
        for cell in sorted(grid.cells.values(), key=lambda cell: bool(cell.needs)):
            needs = tuple(with_seed[name] for name in cell.needs)
            with_seed[cell.name] = CellRun(cell, seed, grid.folder, grid.split, needs)
        runs += (with_seed[name] for name in grid.cells)
    return runs
