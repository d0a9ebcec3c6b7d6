"""One run of a grid: its experiment, and its state as read from the files on disk."""

from dataclasses import dataclass
from enum import Enum, auto
from functools import cached_property
from pathlib import Path

from gcahng.config import ExperimentConfig
from gcahng.config.experiment import changed_experiment
from gcahng.files import file_name
from gcahng.jobs.pool import Job
from gcahng.runs.folder import RunFolder
from gcahng.runs.loading import run_device
from gcahng.runs.record import RunRecord, epochs_for, read_record
from gcahng.studies.grid import Cell, Grid


class State(Enum):
    """The state of a run; `CHANGED`: its folder holds one with other settings than the grid's."""

    OPEN = auto()
    FINISHED = auto()
    FAILED = auto()
    CHANGED = auto()


def make_job(name: str, settings: Path, folder: Path, config: ExperimentConfig) -> Job:
    """Describe the process of a training; on a machine with GPUs, it needs some of its own."""
    count = config.fabric.devices
    own = isinstance(count, int) and count > 0 and run_device(config).type == "cuda"
    gpus = count if own and isinstance(count, int) else 0
    return Job(name, settings, folder, config.fabric.threads, gpus)


@dataclass(frozen=True, eq=False)
class CellRun:
    """A cell with one seed, in the folder `home` of its grid.

    One of equal time waits for the run of the same experiment, and for that whose time it gets.
    """

    cell: Cell
    seed: int
    home: Path
    waits_for: tuple["CellRun", ...] = ()

    @property
    def name(self) -> str:
        """Name of the run and of its folder."""
        return f"{file_name(self.cell.name)}-seed{self.seed}"

    @property
    def folder(self) -> RunFolder:
        """Its run folder, like that of any other run."""
        return RunFolder(self.home / self.name)

    @property
    def claim(self) -> Path:
        """What the claims on it are named after, see `take_claim`."""
        return self.home / "claims" / self.name

    @cached_property
    def job(self) -> Job:
        """Its process, with settings and output in `started/`."""
        settings = self.home / "started" / f"{self.name}.yaml"
        return make_job(self.name, settings, self.folder.path, self.cell.config)

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
        config, changed = self.config(), []
        if config is not None and (self.folder.begun or self.folder.results.exists()):
            changed = changed_experiment(self.folder.read_config(), config)
        if changed:
            keys = ", ".join(changed)
            return State.CHANGED, f"'{self.folder.path}' was trained with other settings ({keys})"
        if (reason := self.job.reason) is not None:
            return State.FAILED, reason
        finished = config is not None and self.folder.results.is_file()
        return State.FINISHED if finished else State.OPEN, ""

    @property
    def finished(self) -> bool:
        """Whether it has finished with the settings that the grid gives it."""
        return self.status()[0] is State.FINISHED

    def record(self) -> RunRecord:
        """Its results; it must have finished."""
        return read_record(self.folder, self.cell.name)


def grid_runs(grid: Grid) -> list[CellRun]:
    """List all runs, seed by seed: a grid that is stopped early has all cells for some seeds."""
    runs: list[CellRun] = []
    for seed in grid.seeds:
        with_seed: dict[str, CellRun] = {}
        for cell in sorted(grid.cells.values(), key=lambda cell: cell.equal_time is not None):
            waits_for = tuple(with_seed[name] for name in cell.waits_for)
            with_seed[cell.name] = CellRun(cell, seed, grid.folder, waits_for)
        runs += (with_seed[name] for name in grid.cells)
    return runs
