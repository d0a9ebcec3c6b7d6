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
    clock = WorkClock(torch.device(device), seconds=1.0)
    clock.start()
    elapse(0.5, 0.25)
    clock.stop()
    elapse(4.0, 4.0)
    assert clock.seconds == work
