"""Write the figures of a training for TensorBoard."""

import os
import time
from io import BytesIO
from pathlib import Path
from socket import gethostname
from typing import Any

from lightning_fabric.loggers import Logger

from gcahng.files import append


class BoardLogger(Logger):
    """TensorBoard. Its own writer is a thread, whose errors would not reach the training.

    Args:
        folder: Gets a file of events for each process that trains the run.
    """

    def __init__(self, folder: Path) -> None:
        self.file = folder / f"events.out.tfevents.{time.time():.0f}.{gethostname()}.{os.getpid()}"

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
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary
        from tensorboard.summary.writer.record_writer import RecordWriter

        values = [Summary.Value(tag=key, simple_value=value) for key, value in metrics.items()]
        event = {"step": step, "summary": Summary(value=values)}
        events = [event] if self.file.exists() else [{"file_version": "brain.Event:2"}, event]
        records = BytesIO()
        for content in events:
            RecordWriter(records).write(Event(wall_time=time.time(), **content).SerializeToString())
        append(self.file, records.getvalue())

    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        """Nothing: the run has its settings."""
