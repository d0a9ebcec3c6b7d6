"""One run of a grid: its experiment, and its state as read from the files on disk."""

import shutil
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path

from gcahng.ablation.grid import Cell, Grid
from gcahng.config import ExperimentConfig, changed_experiment, dump_config, read_config
from gcahng.files import write_text
from gcahng.runs.folder import RunFolder
from gcahng.runs.record import RunRecord, Split, epochs_for, read_record


class State(Enum):
    """The state of a run.

    `CHANGED`: the folder holds a run with other settings than the grid now gives it.
    """

    OPEN = auto()
    FINISHED = auto()
    FAILED = auto()
    CHANGED = auto()


@dataclass(frozen=True, eq=False)
class CellRun:
    """A cell with one seed.

    Attributes:
        cell: The cell.
        seed: The seed.
        home: The folder of the grid.
        split: Split whose figures are reported.
        waits_for: Runs with the same seed that must finish first. For a cell of equal time: the run
            of the same experiment, then the run whose training time it gets.
        reports: Whether it writes a report of its own, which takes seconds and few people open.
    """

    cell: Cell
    seed: int
    home: Path
    split: Split
    waits_for: tuple["CellRun", ...] = ()
    reports: bool = False

    @property
    def name(self) -> str:
        """Name of the run and of its folder."""
        return f"{self.cell.name}-seed{self.seed}"

    @property
    def folder(self) -> RunFolder:
        """Its run folder, like that of any other run."""
        return RunFolder(self.home / self.name)

    @property
    def settings(self) -> Path:
        """The experiment as YAML, written before its process starts."""
        return self.home / "started" / f"{self.name}.yaml"

    @property
    def log(self) -> Path:
        """The output of its process."""
        return self.settings.with_suffix(".log")

    @property
    def failure(self) -> Path:
        """The reason why it failed, if it did."""
        return self.settings.with_suffix(".failed")

    @property
    def claim(self) -> Path:
        """What the claims on it are named after, see `take_claim`."""
        return self.home / "claims" / self.name

    def failed_at(self) -> int | None:
        """When it failed, as the file system has it; None if it has not."""
        try:
            return self.failure.stat().st_mtime_ns
        except FileNotFoundError:
            return None

    def config(self) -> ExperimentConfig | None:
        """The experiment; None while its number of epochs depends on unfinished runs."""
        config = self.cell.config.model_copy(update={"seed": self.seed})
        if not self.waits_for:
            return config
        if not all(run.finished for run in self.waits_for):
            return None
        measured, target = (run.record() for run in self.waits_for)
        train = config.train.model_copy(update={"epochs": epochs_for(target, measured)})
        return config.model_copy(update={"train": train})

    def status(self) -> tuple[State, str]:
        """The run's state, and why it cannot finish; the reason is empty where it can."""
        config = self.config()
        changed = [] if config is None else self._changed(config)
        if changed:
            keys = ", ".join(changed)
            return State.CHANGED, f"'{self.folder.path}' was trained with other settings ({keys})"
        if self.failure.exists():
            return State.FAILED, " ".join(self.failure.read_text(encoding="utf-8").split())
        finished = config is not None and self.folder.results.is_file()
        return State.FINISHED if finished else State.OPEN, ""

    @property
    def finished(self) -> bool:
        """Whether it has finished with the settings that the grid gives it."""
        return self.status()[0] is State.FINISHED

    def _changed(self, config: ExperimentConfig) -> list[str]:
        """Keys in which the run on disk differs from a configuration."""
        if not (self.folder.begun or self.folder.results.exists()):
            return []
        return changed_experiment(read_config(self.folder.config), config)

    def record(self) -> RunRecord:
        """Its results; it must have finished."""
        return read_record(self.folder, self.cell.name)

    def arguments(self) -> list[str]:
        """Arguments for `gcahng train` to start or to continue it; forgets an earlier failure."""
        config = self.config()
        assert config is not None
        self.failure.unlink(missing_ok=True)
        write_text(self.settings, dump_config(config))
        options = [] if self.reports else ["--no-report"]
        return [str(self.settings), *options, "--resume", "auto", "--run", str(self.folder.path)]

    def fail(self, sentence: str) -> None:
        """Mark it as failed, with the reason."""
        write_text(self.failure, sentence + "\n")

    def remove(self) -> None:
        """Delete all its files."""
        for file in (self.settings, self.log, self.failure):
            file.unlink(missing_ok=True)
        if self.folder.path.exists():
            shutil.rmtree(self.folder.path)


def grid_runs(grid: Grid) -> list[CellRun]:
    """List all runs, seed by seed: a grid that is stopped early has all cells for some seeds."""
    runs: list[CellRun] = []
    for seed in grid.seeds:
        with_seed: dict[str, CellRun] = {}
        for cell in sorted(grid.cells.values(), key=lambda cell: cell.equal_time is not None):
            waits_for = tuple(with_seed[name] for name in cell.waits_for)
            shown = cell.name == grid.show
            with_seed[cell.name] = CellRun(cell, seed, grid.folder, grid.split, waits_for, shown)
        runs += (with_seed[name] for name in grid.cells)
    return runs
