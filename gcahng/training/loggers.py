"""Where a training logs its figures: TensorBoard, Weights & Biases."""

import json
import secrets
import warnings
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from typing import Any

from lightning_fabric.loggers import Logger, TensorBoardLogger

from gcahng.arguments import check_names
from gcahng.config import ExperimentConfig
from gcahng.config.sections import LoggerConfig
from gcahng.files import write_text
from gcahng.jobs.process import is_first
from gcahng.reasons import first_line, install_extra
from gcahng.runs.folder import RunFolder


class WandbLogger(Logger):
    """Weights & Biases, with the arguments of `wandb.init`; a resumed run goes on as the same."""

    name = "wandb"
    run: Any = None

    def __init__(
        self, config: ExperimentConfig, folder: RunFolder, args: Mapping[str, Any]
    ) -> None:
        spec = find_spec("wandb")
        # A folder of that name in the current one has a spec too, but no origin.
        if spec is None or spec.origin is None:
            raise ImportError(f"train.loggers: wandb is not installed: {install_extra('wandb')}")
        self.config, self.folder, self.args = config, folder, args

    @property
    def version(self) -> str | None:
        """The number of the run in the service."""
        return None if self.run is None else str(self.run.id)

    def start(self) -> None:
        """Begin the run, or go on with it; a ValueError gives the reason of a refusal."""
        import wandb

        file, settings = self.folder.tracker, self.config.model_dump()
        del settings["train"]["loggers"]  # addresses have passwords
        known = json.loads(file.read_text("utf-8"))["wandb"] if file.is_file() else None
        try:
            self.run = wandb.init(
                **{"project": "gcahng", "name": self.folder.path.name, **self.args},
                id=known or secrets.token_hex(8),
                resume="allow",
                dir=str(self.folder.path),
                config=settings,
                settings=wandb.Settings(console="off", silent=True),
            )
        except Exception as error:  # a service raises many kinds
            hint = f"; to begin another run, delete '{file}'" if known else ""
            raise ValueError(
                f"train.loggers: wandb cannot log this run ({first_line(error).rstrip('.')}){hint}"
            ) from error
        write_text(file, json.dumps({"wandb": self.run.id}) + "\n")

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        """Log the figures of an epoch."""
        self._try(lambda: self.run.log(metrics, step=step))

    def log_results(self, results: Mapping[str, Any]) -> None:
        """Put what a finished run has measured into the run's summary."""
        self._try(lambda: self.run.summary.update(dict(results)))

    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        """Nothing: the settings are logged as the run begins."""

    def finalize(self, status: str) -> None:
        """End the run as a `success` or otherwise."""
        if self.run is not None:
            self._try(lambda: self.run.finish(exit_code=int(status != "success")))

    def _try(self, work: Callable[[], None]) -> None:
        """Warn of what cannot be sent: a server that does not answer must not end a training."""
        try:
            work()
        except Exception as error:
            warnings.warn(
                f"wandb did not take figures, which '{self.folder.metrics}' has "
                f"({first_line(error).rstrip('.')})",
                stacklevel=2,
            )


def build_loggers(config: ExperimentConfig, folder: RunFolder) -> list[Logger]:
    """Build the loggers of `train.loggers`; `csv` is `metrics.csv`, which every run has."""
    loggers: list[Logger] = []
    for given in config.train.loggers:
        one = given if isinstance(given, LoggerConfig) else LoggerConfig(name=given)
        if one.name != "wandb":
            check_names(f"train.loggers: {one.name}", one.args, [])
        elif is_first():  # other processes log nothing
            loggers.append(WandbLogger(config, folder, one.args))
        if one.name == "tensorboard":
            path = folder.tensorboard
            loggers.append(TensorBoardLogger(path.parent, path.name, version="", flush_secs=10))
    return loggers
