from collections.abc import Callable
from types import SimpleNamespace

import pytest
import torch

from gcahng.training.clock import WorkClock


@pytest.fixture
def elapse(monkeypatch: pytest.MonkeyPatch) -> Callable[[float, float], None]:
    """Let wall and CPU seconds go by."""
    now = SimpleNamespace(wall=10.0, cpu=1.0)
    clocks = SimpleNamespace(perf_counter=lambda: now.wall, process_time=lambda: now.cpu)
    monkeypatch.setattr("gcahng.training.clock.time", clocks)

    def elapse(wall: float, cpu: float) -> None:
        now.wall, now.cpu = now.wall + wall, now.cpu + cpu

    return elapse


@pytest.mark.parametrize(("device", "work"), [("cpu", 1.25), ("cuda", 1.5)])
def test_work_is_cpu_time_on_a_cpu_and_wall_time_on_a_gpu(
    device: str, work: float, elapse: Callable[[float, float], None]
) -> None:
    clock = WorkClock(torch.device(device), seconds=2.0, work_seconds=1.0)
    clock.start()
    elapse(0.5, 0.25)
    clock.stop()
    elapse(4.0, 4.0)
    assert clock.state() == {"seconds": 2.5, "work_seconds": work}


def test_work_that_was_not_measured_stays_unknown() -> None:
    clock = WorkClock(torch.device("cpu"), 3.0, None)
    clock.start()
    clock.stop()
    assert clock.state().keys() == {"seconds"}
