"""Where a training logs its figures: TensorBoard, Weights & Biases, MLflow."""

import inspect
import json
import secrets
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from typing import Any

from gcahng.arguments import check_names
from gcahng.config import ExperimentConfig, flat_settings
from gcahng.config.sections import LoggerConfig
from gcahng.files import write_text
from gcahng.jobs.place import is_first
from gcahng.reasons import first_line, install_extra
from gcahng.runs.folder import RunFolder
from gcahng.training.lightning import Logger, TensorBoardLogger


class Tracker(Logger):
    """A service that keeps runs outside of their folder. A resumed training goes on in its run.

    Subclasses have `begin(number, settings)`, which begins a run or goes on with the one of this
    number, and returns its number; `send(figures, step)`; `send_results(results)`; `end(finished)`.

    Args:
        config: The experiment, which is shown with the run.
        folder: The run; keeps the number that the service knows it by.
        args: Arguments of the user.
    """

    # As in `train.loggers`; also the package, and the extra that installs it.
    service: str
    number: str | None = None
    begin: Callable[..., str]
    send: Callable[..., None]
    send_results: Callable[..., None]
    end: Callable[..., None]
    # The arguments that a user may give.
    arguments: Callable[[], Sequence[str]] = tuple

    def __init__(
        self, config: ExperimentConfig, folder: RunFolder, args: Mapping[str, Any]
    ) -> None:
        spec = find_spec(self.service)
        # A folder of that name in the current one has a spec too, but no origin.
        if spec is None or spec.origin is None:
            raise ImportError(
                f"train.loggers: {self.service} is not installed: {install_extra(self.service)}"
            )
        self.config, self.folder, self.args = config, folder, dict(args)
        check_names(f"train.loggers: {self.service}", self.args, self.arguments())

    @property
    def name(self) -> str:
        """The service."""
        return self.service

    @property
    def version(self) -> str | None:
        """The number of the run in the service; None before it has begun."""
        return self.number

    def start(self) -> None:
        """Begin the run, or go on with it.

        Raises:
            ValueError: If the service refuses, with its reason.
        """
        file, settings = self.folder.trackers, self.config.model_dump()
        del settings["train"]["loggers"]  # addresses have passwords
        numbers = json.loads(file.read_text("utf-8")) if file.is_file() else {}
        known = numbers.get(self.service)
        try:
            self.number = self.begin(known, settings)
        except Exception as error:  # a service raises many kinds
            hint = f"; to begin another one, delete '{file}'" if known else ""
            raise ValueError(
                f"train.loggers: {self.service} cannot {'go on with' if known else 'begin'} a run "
                f"({first_line(error).rstrip('.')}){hint}"
            ) from error
        write_text(file, json.dumps({**numbers, self.service: self.number}, indent=2) + "\n")

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        """Log the figures of an epoch."""
        self._try(lambda: self.send(metrics, step or 0))

    def log_results(self, results: Mapping[str, Any]) -> None:
        """Log what a finished run has measured."""
        self._try(lambda: self.send_results(results))

    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        """Nothing: the settings are logged as the run begins."""

    def finalize(self, status: str) -> None:
        """End the run as a `success` or otherwise."""
        if self.number is not None:
            self._try(lambda: self.end(status == "success"))

    def _try(self, work: Callable[[], None]) -> None:
        """Warn of what cannot be sent: a server that does not answer must not end a training."""
        try:
            work()
        except Exception as error:
            warnings.warn(
                f"{self.service} did not take figures, which '{self.folder.metrics}' has "
                f"({first_line(error).rstrip('.')})",
                stacklevel=2,
            )


class WandbLogger(Tracker):
    """Weights & Biases; its arguments are those of `wandb.init`, such as `project` and `mode`."""

    service = "wandb"

    @staticmethod
    def arguments() -> list[str]:
        """Those of `wandb.init` that are not set here."""
        import wandb

        set_here = ("id", "resume", "dir", "config", "settings")
        return [name for name in inspect.signature(wandb.init).parameters if name not in set_here]

    def begin(self, number: str | None, settings: dict[str, Any]) -> str:
        """Begin a run, or go on with the one of this number."""
        import wandb

        number = number or secrets.token_hex(8)
        self.run = wandb.init(
            id=number,
            resume="allow",
            dir=str(self.folder.path),
            config=settings,
            settings=wandb.Settings(console="off", silent=True),
            **{"project": "gcahng", "name": self.folder.path.name, **self.args},
        )
        return number

    def send(self, figures: Mapping[str, float], step: int) -> None:
        """Log the figures of an epoch."""
        self.run.log(dict(figures), step=step)

    def send_results(self, results: Mapping[str, Any]) -> None:
        """Put the results into the run's summary."""
        self.run.summary.update(dict(results))

    def end(self, finished: bool) -> None:
        """End the run."""
        self.run.finish(exit_code=0 if finished else 1)


class MLflowLogger(Tracker):
    """MLflow; its arguments are `experiment`, `tracking_uri`, `run_name` and `tags`.

    MLflow allows no `@` in names: `recall@1` is `recall_at_1` there.
    """

    service = "mlflow"

    @staticmethod
    def arguments() -> list[str]:
        """The names of the arguments."""
        return ["experiment", "tracking_uri", "run_name", "tags"]

    def begin(self, number: str | None, settings: dict[str, Any]) -> str:
        """Begin a run with the settings as parameters, or go on with the one of this number."""
        from mlflow import MlflowClient
        from mlflow.entities import Param

        self.client = MlflowClient(tracking_uri=self.args.get("tracking_uri"))
        if number is not None:
            self.client.update_run(number, status="RUNNING")
            return number
        name = self.args.get("experiment", "gcahng")
        known = self.client.get_experiment_by_name(name)
        experiment = known.experiment_id if known else self.client.create_experiment(name)
        title = self.args.get("run_name", self.folder.path.name)
        run = self.client.create_run(experiment, run_name=title, tags=self.args.get("tags"))
        found, flat = str(run.info.run_id), list(flat_settings(settings))
        for start in range(0, len(flat), 100):  # the most that MLflow takes at once
            params = [Param(key, str(value)) for key, value in flat[start : start + 100]]
            self.client.log_batch(found, params=params)
        return found

    def send(self, figures: Mapping[str, float], step: int) -> None:
        """Log the figures of an epoch."""
        from mlflow.entities import Metric

        now = int(1000 * time.time())
        metrics = [
            Metric(key.replace("@", "_at_"), value, now, step) for key, value in figures.items()
        ]
        self.client.log_batch(str(self.number), metrics=metrics)

    def send_results(self, results: Mapping[str, Any]) -> None:
        """Log numbers as metrics and words as tags."""
        numbers = {key: v for key, v in results.items() if isinstance(v, int | float)}
        self.send(numbers, int(results["epochs"]))
        for key in results.keys() - numbers.keys():
            self.client.set_tag(str(self.number), key.replace("@", "_at_"), str(results[key]))

    def end(self, finished: bool) -> None:
        """End the run."""
        self.client.set_terminated(str(self.number), "FINISHED" if finished else "KILLED")


TRACKERS: dict[str, type[Tracker]] = {"mlflow": MLflowLogger, "wandb": WandbLogger}


def build_loggers(config: ExperimentConfig, folder: RunFolder) -> list[Logger]:
    """Build the loggers of `train.loggers`; `csv` is `metrics.csv`, which every run has.

    Raises:
        ImportError: If a package is not installed.
        ValueError: If an argument is unknown.
    """
    loggers: list[Logger] = []
    for given in config.train.loggers:
        one = given if isinstance(given, LoggerConfig) else LoggerConfig(name=given)
        if one.name not in TRACKERS:
            check_names(f"train.loggers: {one.name}", one.args, [])
        elif is_first(config.fabric.num_nodes):  # other processes log nothing
            loggers.append(TRACKERS[one.name](config, folder, one.args))
        if one.name == "tensorboard":
            path = folder.tensorboard
            loggers.append(TensorBoardLogger(path.parent, path.name, version="", flush_secs=10))
    return loggers


def trackers(loggers: Sequence[Logger]) -> list[Tracker]:
    """The services among some loggers."""
    return [logger for logger in loggers if isinstance(logger, Tracker)]
