from types import SimpleNamespace

import pytest
import torch

from gcahng.training.cost import WorkClock


@pytest.mark.parametrize(("device", "work"), [("cpu", 1.25), ("cuda", 1.5)])
def test_work_is_cpu_time_on_a_cpu_and_wall_time_on_a_gpu(
    device: str, work: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    wall, cpu = iter((10.0, 10.5)), iter((1.0, 1.25))
    clocks = SimpleNamespace(perf_counter=lambda: next(wall), process_time=lambda: next(cpu))
    monkeypatch.setattr("gcahng.training.cost.time", clocks)
    clock = WorkClock(torch.device(device), seconds=1.0)
    clock.start()
    clock.stop()
    assert clock.seconds == work
