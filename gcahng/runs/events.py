"""Write events for TensorBoard, whose own writer is a thread: its errors reach nobody else."""

import os
import time
from collections.abc import Iterable
from io import BytesIO
from pathlib import Path
from socket import gethostname
from typing import Any

from gcahng.files import append


def new_file(folder: Path, suffix: str = "") -> Path:
    """Name a file of events that no other process writes to."""
    name = f"events.out.tfevents.{time.time():.0f}.{gethostname()}.{os.getpid()}{suffix}"
    return folder / name


def write_values(file: Path, values: Iterable[Any], step: int | None) -> None:
    """Append an event to a file, all of it or nothing.

    Args:
        file: As of `new_file`; created if missing.
        values: Of type `Summary.Value`.
        step: The epoch.

    Raises:
        OSError: If it cannot be written.
    """
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.summary.writer.record_writer import RecordWriter

    event = {"step": step, "summary": Summary(value=values)}
    events = [event] if file.exists() else [{"file_version": "brain.Event:2"}, event]
    records = BytesIO()
    for content in events:
        RecordWriter(records).write(Event(wall_time=time.time(), **content).SerializeToString())
    append(file, records.getvalue())
