"""The section of an experiment about its training: how long, what is kept, where figures go."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from gcahng.config.errors import broken_rule
from gcahng.config.sections import Args, AtLeast0, AtLeast1, Positive, Section

LoggerName = Literal["tensorboard", "csv", "wandb", "mlflow"]


class LoggerConfig(Section):
    """A logger and its arguments.

    `wandb` takes those of `wandb.init`, such as `project`; `mlflow` takes `experiment`,
    `tracking_uri`, `run_name` and `tags`.
    """

    name: LoggerName
    args: Args = Field(default={})


class TrainConfig(Section):
    """Training duration and checkpoints."""

    epochs: AtLeast0
    """0: nothing is trained; the network is measured as it starts, and kept."""
    warmup_epochs: AtLeast0 = 0
    """Number of initial epochs with a frozen backbone."""
    max_seconds: Positive | None = None
    """Stop after the epoch in which training has taken this long: CPU time on a CPU."""
    keep_every: AtLeast1 | None = None
    """Also keep the checkpoint of every n-th epoch."""
    save_minutes: Positive | None = 10.0
    """Save within an epoch as well, after so many minutes; null: after whole epochs only."""
    patience: AtLeast1 | None = None
    """Stop after so many evaluations in a row without a better value of `eval.select`."""
    ema: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Decay, per step, of an exponential moving average of the embedder's weights, which is
    evaluated and saved in place of the weights as trained; null: no average."""
    loggers: list[LoggerName | LoggerConfig] = Field(default=["tensorboard"])
    """Where figures go beside `metrics.csv` (`csv`), which every run has: each a name or
    {name, args}; `wandb` and `mlflow` are extras."""

    @model_validator(mode="after")
    def _check_loggers_differ(self) -> "TrainConfig":
        names = [one if isinstance(one, str) else one.name for one in self.loggers]
        if len(set(names)) < len(names):
            broken_rule(("loggers",), "each logger once", names)
        return self

    @model_validator(mode="after")
    def _check_average_has_steps(self) -> "TrainConfig":
        if self.ema is not None and self.epochs == 0:
            broken_rule(("ema",), "null, since no step is trained (train.epochs 0)", self.ema)
        return self

    @model_validator(mode="after")
    def _check_warmup_ends(self) -> "TrainConfig":
        if self.warmup_epochs >= max(self.epochs, 1):
            expected = f"fewer than train.epochs ({self.epochs})"
            broken_rule(("warmup_epochs",), expected, self.warmup_epochs)
        return self
