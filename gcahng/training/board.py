"""Write the figures of a training for TensorBoard."""

from pathlib import Path
from typing import Any

from lightning_fabric.loggers import Logger

from gcahng.runs.events import new_file, write_values


class BoardLogger(Logger):
    """TensorBoard, without a thread.

    Args:
        folder: Gets a file of events for each process that trains the run.
    """

    def __init__(self, folder: Path) -> None:
        self.file = new_file(folder)

    @property
    def name(self) -> str:
        """The folder."""
        return self.file.parent.name

    @property
    def version(self) -> None:
        """None: there is one for each run."""
        return None

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        """Append the figures of an epoch.

        Raises:
            OSError: If they cannot be written.
        """
        from tensorboard.compat.proto.summary_pb2 import Summary

        values = [Summary.Value(tag=key, simple_value=value) for key, value in metrics.items()]
        write_values(self.file, values, step)

    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        """Nothing: the run has its settings."""
