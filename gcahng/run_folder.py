"""The folder of one run: what is in it and under which names."""

import csv
import importlib.metadata
import io
import json
import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from gcahng.config import ExperimentConfig, dump_config
from gcahng.files import write_text

# What a run leaves that was stopped within its first epoch.
FIRST_FILES = {"config.yaml", "environment.json", "tensorboard", "checkpoints"}
LIBRARIES = ("gcahng", "torch", "torch-geometric", "torchvision", "timm", "numpy")


@dataclass(frozen=True)
class RunFolder:
    """Paths of a run; every file in it appears whole or not at all."""

    path: Path

    @property
    def config(self) -> Path:
        """The resolved configuration."""
        return self.path / "config.yaml"

    @property
    def environment(self) -> Path:
        """Versions, machine and command."""
        return self.path / "environment.json"

    @property
    def metrics(self) -> Path:
        """A row per epoch: losses, learning rates, retrieval figures."""
        return self.path / "metrics.csv"

    @property
    def results(self) -> Path:
        """Figures on the test split, of the last and of the best epoch."""
        return self.path / "results.json"

    @property
    def last(self) -> Path:
        """Everything that continuing needs, after the last whole epoch."""
        return self.path / "checkpoints" / "last.pt"

    @property
    def best(self) -> Path:
        """The same, after the epoch that was best on the split that chooses."""
        return self.path / "checkpoints" / "best.pt"

    @property
    def report(self) -> Path:
        """Curves, tables and a retrieval gallery in one page."""
        return self.path / "report.html"

    @property
    def model(self) -> Path:
        """The best embedder's weights alone, to share; `config.json` beside it says what it is."""
        return self.path / "model.safetensors"

    def check_free(self) -> None:
        """See that a new run may go here: nothing, an empty folder, or a run that never began.

        Raises:
            FileExistsError: If something is there that would be lost.
        """
        if self.last.exists():
            raise FileExistsError(
                f"'{self.path}' already holds a run: continue it with --resume {self.path}, or "
                "choose another folder with --run or another 'name' or 'seed'"
            )
        if not self.path.exists():
            return
        if not self.path.is_dir():
            raise FileExistsError(f"'{self.path}' is a file: choose a folder with --run")
        found = {file.name for file in self.path.iterdir()}
        aborted = self.environment.name in found and found <= FIRST_FILES
        if found and not aborted:
            raise FileExistsError(
                f"'{self.path}' holds {sorted(found)[0]!r}, which is not of a run: choose a new or "
                "empty folder with --run"
            )

    def create(self, config: ExperimentConfig) -> None:
        """Make the folder for a new run.

        Raises:
            FileExistsError: As `check_free`.
        """
        self.check_free()
        write_text(self.config, dump_config(config))
        write_text(self.environment, json.dumps(environment(), indent=2) + "\n")

    def write_metrics(self, history: Sequence[Mapping[str, float]]) -> None:
        """Write all epochs so far; a column that an epoch lacks stays empty."""
        columns = list(dict.fromkeys(key for row in history for key in row))
        text = io.StringIO()
        writer = csv.DictWriter(text, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(history)
        write_text(self.metrics, text.getvalue())

    def write_results(self, results: Mapping[str, Any]) -> None:
        """Write the final figures."""
        write_text(self.results, json.dumps(results, indent=2) + "\n")


def environment() -> dict[str, Any]:
    """What a result depends on beside its configuration."""
    cuda = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    return {
        "command": sys.argv,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "libraries": {name: _version(name) for name in LIBRARIES},
        "threads": torch.get_num_threads(),
        "cuda": cuda,
        "commit": _commit(),
    }


def _version(library: str) -> str | None:
    try:
        return importlib.metadata.version(library)
    except importlib.metadata.PackageNotFoundError:
        return None


def _commit() -> str | None:
    """The commit of the checkout that the code runs from, None outside of one."""
    try:
        answer = subprocess.run(
            ["git", "rev-parse", "HEAD"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            timeout=10,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return answer.stdout.strip() or None
