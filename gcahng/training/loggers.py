"""Where a training logs its figures: TensorBoard, Weights & Biases, MLflow."""

import inspect
import json
import secrets
import time
import warnings
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from typing import Any

from lightning_fabric.loggers import Logger

from gcahng.arguments import check_names
from gcahng.config import ExperimentConfig
from gcahng.config.sections import LoggerConfig
from gcahng.files import write_text
from gcahng.reasons import first_line
from gcahng.runs.folder import RunFolder
from gcahng.training.board import BoardLogger
from gcahng.training.place import is_first

# The most settings that MLflow takes at once.
MOST_SETTINGS = 100


class Tracker(Logger):
    """A service that keeps runs outside of their folder. A resumed training goes on in its run.

    Args:
        config: The experiment, which is shown with the run.
        folder: The run; keeps the number that the service knows it by.
        args: Arguments of the user.
    """

    # As in `train.loggers`; also the package, and the extra that installs it.
    service: str

    def __init__(
        self, config: ExperimentConfig, folder: RunFolder, args: Mapping[str, Any]
    ) -> None:
        spec = find_spec(self.service)
        # A folder of that name in the current one has a spec too, but no origin.
        if spec is None or spec.origin is None:
            raise ImportError(
                f"train.loggers: {self.service} is not installed: "
                f'pip install "gcahng[{self.service}]"'
            )
        self.config, self.folder, self.args = config, folder, dict(args)
        check_names(f"train.loggers: {self.service}", self.args, self.arguments())
        self.number: str | None = None

    def settings(self) -> dict[str, Any]:
        """The experiment as shown with the run, without the loggers: addresses have passwords."""
        values: dict[str, Any] = self.config.model_dump()
        del values["train"]["loggers"]
        return values

    @abstractmethod
    def arguments(self) -> list[str]:
        """The arguments that a user may give."""

    @abstractmethod
    def open(self, number: str | None) -> str:
        """Begin a run, or go on with the one of this number; return its number."""

    @abstractmethod
    def send(self, figures: Mapping[str, float], step: int) -> None:
        """Log the figures of an epoch."""

    @abstractmethod
    def send_results(self, results: Mapping[str, Any]) -> None:
        """Log what a finished run has measured."""

    @abstractmethod
    def close(self, finished: bool) -> None:
        """End the run."""

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
        file = self.folder.trackers
        numbers = json.loads(file.read_text("utf-8")) if file.is_file() else {}
        known = numbers.get(self.service)
        try:
            self.number = self.open(known)
        except Exception as error:  # a service raises many kinds
            hint = f"; to begin another one, delete '{file}'" if known else ""
            raise ValueError(
                f"train.loggers: {self.service} cannot {'go on with' if known else 'begin'} a run "
                f"({first_line(error).rstrip('.')}){hint}"
            ) from error
        write_text(file, json.dumps({**numbers, self.service: self.number}, indent=2) + "\n")

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        """Log the figures of an epoch; what cannot be sent is a warning, as the run has it too."""
        self._try(lambda: self.send(metrics, step or 0))

    def log_results(self, results: Mapping[str, Any]) -> None:
        """Log what a finished run has measured; what cannot be sent is a warning."""
        self._try(lambda: self.send_results(results))

    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        """Nothing: the settings are logged as the run begins."""

    def finalize(self, status: str) -> None:
        """End the run as a `success` or otherwise."""
        if self.number is not None:
            self._try(lambda: self.close(status == "success"))

    def _try(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:  # a server that does not answer must not end a training
            warnings.warn(
                f"{self.service} did not take figures, which '{self.folder.metrics}' has "
                f"({first_line(error).rstrip('.')})",
                stacklevel=2,
            )


class WandbLogger(Tracker):
    """Weights & Biases; its arguments are those of `wandb.init`, such as `project` and `mode`."""

    service = "wandb"

    def arguments(self) -> list[str]:
        """Those of `wandb.init` that are not set here."""
        import wandb

        set_here = ("id", "resume", "dir", "config", "settings")
        return [name for name in inspect.signature(wandb.init).parameters if name not in set_here]

    def open(self, number: str | None) -> str:
        """Begin a run, or go on with the one of this number."""
        import wandb

        number = number or secrets.token_hex(8)
        given = {"project": "gcahng", "name": self.folder.path.name, **self.args}
        self.run = wandb.init(
            id=number,
            resume="allow",
            dir=str(self.folder.path),
            config=self.settings(),
            settings=wandb.Settings(console="off", silent=True),
            **given,
        )
        return number

    def send(self, figures: Mapping[str, float], step: int) -> None:
        """Log the figures of an epoch."""
        self.run.log(dict(figures), step=step)

    def send_results(self, results: Mapping[str, Any]) -> None:
        """Put the results into the run's summary."""
        self.run.summary.update(dict(results))

    def close(self, finished: bool) -> None:
        """End the run."""
        self.run.finish(exit_code=0 if finished else 1)


class MLflowLogger(Tracker):
    """MLflow; its arguments are `experiment`, `tracking_uri`, `run_name` and `tags`.

    MLflow allows no `@` in names: `recall@1` is `recall_at_1` there.
    """

    service = "mlflow"

    def arguments(self) -> list[str]:
        """The names of the arguments."""
        return ["experiment", "tracking_uri", "run_name", "tags"]

    def open(self, number: str | None) -> str:
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
        found = str(run.info.run_id)
        settings = [Param(key, str(value)) for key, value in _flat(self.settings())]
        try:
            for start in range(0, len(settings), MOST_SETTINGS):
                self.client.log_batch(found, params=settings[start : start + MOST_SETTINGS])
        except Exception:
            self.client.set_terminated(found, "FAILED")
            raise
        return found

    def send(self, figures: Mapping[str, float], step: int) -> None:
        """Log the figures of an epoch."""
        from mlflow.entities import Metric

        now = int(1000 * time.time())
        metrics = [Metric(_allowed(key), value, now, step) for key, value in figures.items()]
        self.client.log_batch(str(self.number), metrics=metrics)

    def send_results(self, results: Mapping[str, Any]) -> None:
        """Log numbers as metrics and words as tags."""
        numbers = {key: v for key, v in results.items() if isinstance(v, int | float)}
        self.send(numbers, int(results["epochs"]))
        for key in results.keys() - numbers.keys():
            self.client.set_tag(str(self.number), _allowed(key), str(results[key]))

    def close(self, finished: bool) -> None:
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
        if one.name in TRACKERS:
            # Other processes log nothing.
            if is_first(config.fabric.num_nodes):
                loggers.append(TRACKERS[one.name](config, folder, one.args))
        else:
            check_names(f"train.loggers: {one.name}", one.args, [])
        if one.name == "tensorboard":
            loggers.append(BoardLogger(folder.tensorboard))
    return loggers


def start_loggers(loggers: Sequence[Logger]) -> None:
    """Begin the runs of services, or go on with them."""
    for logger in loggers:
        if isinstance(logger, Tracker):
            logger.start()


def log_results(loggers: Sequence[Logger], results: Mapping[str, Any]) -> None:
    """Log to services what a finished run has measured."""
    for logger in loggers:
        if isinstance(logger, Tracker):
            logger.log_results(results)


def close_loggers(loggers: Sequence[Logger], finished: bool) -> None:
    """End what the loggers began."""
    for logger in loggers:
        logger.finalize("success" if finished else "failed")


def _flat(values: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """Settings by dotted key."""
    found: list[tuple[str, Any]] = []
    for key, value in values.items():
        inner = isinstance(value, dict) and value
        path = f"{prefix}{key}"
        found += _flat(value, f"{path}.") if inner else [(path, value)]
    return found


def _allowed(name: str) -> str:
    """A name without the sign that MLflow does not allow."""
    return name.replace("@", "_at_")
