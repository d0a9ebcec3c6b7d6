"""Figures for TensorBoard, as it reads them."""

from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from gcahng.training.board import BoardLogger
from tests import limits


def _read(folder: Path) -> list[tuple[int, float]]:
    events = EventAccumulator(str(folder)).Reload()
    return [(event.step, round(event.value, 6)) for event in events.Scalars("test/map@r")]


def test_tensorboard_reads_every_epoch(tmp_path: Path) -> None:
    logger = BoardLogger(tmp_path / "events")
    assert not (tmp_path / "events").exists()
    for epoch in (1, 2):
        logger.log_metrics({"epoch": epoch, "test/map@r": epoch / 4}, epoch)
    assert _read(tmp_path / "events") == [(1, 0.25), (2, 0.5)]


def test_what_a_full_disk_refuses_is_named_and_can_be_repeated(tmp_path: Path) -> None:
    logger = BoardLogger(tmp_path / "events")
    logger.log_metrics({"test/map@r": 0.25}, 1)
    most = logger.file.stat().st_size + 10
    with limits.file_size(most), pytest.raises(OSError, match=r"cannot write '.*tfevents"):
        logger.log_metrics({"test/map@r": 0.5}, 2)
    logger.log_metrics({"test/map@r": 0.5}, 2)
    assert _read(tmp_path / "events") == [(1, 0.25), (2, 0.5)]
