"""The folder of one run: what is in it and under which names."""

import json
import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gcahng.files import csv_text, file_name, printable, refuse_address, write_text
from gcahng.reasons import first_line

if TYPE_CHECKING:  # `gcahng search` opens a run folder without them
    from gcahng.config import ExperimentConfig

# All that a run leaves if it is stopped in its first epoch.
FIRST_FILES = {
    *("config.yaml", "environment.json", "tensorboard", "checkpoints"),
    *("metrics.csv", "trackers.json", "wandb"),
}
LIBRARIES = ("gcahng", "torch", "torch-geometric", "torchvision", "timm", "numpy")


class RunFolder:
    """Paths of a run; every file in it appears whole or not at all."""

    def __init__(self, path: Path) -> None:
        refuse_address(path)
        self.path = path
        self.config, self.environment = path / "config.yaml", path / "environment.json"
        self.metrics, self.results = path / "metrics.csv", path / "results.json"
        self.tracker = path / "trackers.json"
        checkpoints = path / "checkpoints"
        # All that continuing needs: after the last epoch, after the best, and within an epoch.
        self.last, self.best = checkpoints / "last.pt", checkpoints / "best.pt"
        self.partial = checkpoints / "partial.pt"
        self.report, self.model = path / "report.html", path / "model.safetensors"
        self.visualize, self.tensorboard = path / "visualize", path / "tensorboard"

    @property
    def begun(self) -> bool:
        """Whether there is a checkpoint to continue from."""
        return self.last.exists() or self.partial.exists()

    def check_free(self) -> None:
        """Raise unless the folder is absent, empty, or left in a first epoch."""
        shown = printable(str(self.path))
        if shown != str(self.path):
            raise ValueError(
                f"'{shown}' is not in UTF-8, which TensorBoard's files need: choose another folder "
                "with --run"
            )
        from gcahng.jobs.claim import LOCK

        if self.begun or self.best.exists():
            raise FileExistsError(
                f"'{self.path}' already holds a run: choose another folder with --run, or "
                f"another 'name' or 'seed'; to continue it, use --resume {self.path}"
            )
        if not self.path.exists():
            return
        if not self.path.is_dir():
            raise FileExistsError(f"'{self.path}' is a file: choose a folder with --run")
        found = {file.name for file in self.path.iterdir()} - {LOCK}
        aborted = self.environment.name in found and found <= FIRST_FILES
        if found and not aborted:
            raise FileExistsError(
                f"'{self.path}' holds {sorted(found)[0]!r}, which is not of a run: choose a new or "
                "empty folder with --run"
            )

    def create(self, config: "ExperimentConfig") -> None:
        """Create the folder of a new run with its resolved settings."""
        self.check_free()
        # First, as `check_free` tells by it what is left of a start that was stopped.
        write_text(self.environment, json.dumps(environment(), indent=2) + "\n")
        self.write_config(config)

    def read_config(self) -> "ExperimentConfig":
        """Read the resolved settings."""
        from gcahng.config.experiment import read_config

        try:
            return read_config(self.config)
        except ValueError as error:
            raise ValueError(
                f"'{self.path}' holds a run that this version of gcahng cannot read: use the "
                f"version that wrote it, or train again ({first_line(error)})"
            ) from error

    def write_config(self, config: "ExperimentConfig") -> None:
        """Write the resolved settings."""
        from gcahng.config import dump_config

        write_text(self.config, dump_config(config))

    def write_metrics(self, history: Sequence[Mapping[str, float]]) -> None:
        """Write a row for each epoch so far; a column that an epoch lacks stays empty."""
        write_text(self.metrics, csv_text(history))

    def write_results(self, results: Mapping[str, Any]) -> None:
        """Write the final figures, with today's date in UTC."""
        today = datetime.now(timezone.utc).date().isoformat()
        write_text(self.results, json.dumps({**results, "date": today}, indent=2) + "\n")


def default_folder(config: "ExperimentConfig") -> Path:
    """Return where a run goes unless it is told where."""
    return Path(config.output) / f"{file_name(config.name)}-seed{config.seed}"


def environment() -> dict[str, Any]:
    """Everything but the settings that a result depends on."""
    # Not at the top: reading the settings of a grid needs no torch.
    import torch

    from gcahng.models.artifact import library_version

    cuda = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    return {
        "command": sys.argv,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "libraries": {name: library_version(name) for name in LIBRARIES},
        "threads": torch.get_num_threads(),
        "cuda": cuda,
        "commit": _commit(),
    }


def _commit() -> str | None:
    """The commit of the checkout that this code runs from; None if it is installed."""
    package = Path(__file__).resolve().parents[1]
    # An environment may lie inside a user's own repository, whose commit says nothing about ours.
    if not (package.parent / ".git").exists():
        return None
    try:
        answer = subprocess.run(
            ["git", "rev-parse", "HEAD"], cwd=package, capture_output=True, text=True, timeout=10
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return answer.stdout.strip() or None
