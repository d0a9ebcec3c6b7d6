import time

import pytest
import torch

from gcahng.training.clock import WorkClock


def test_sleep_is_time_but_no_work_on_a_cpu() -> None:
    clock = WorkClock(torch.device("cpu"), seconds=2.0, work_seconds=1.0)
    clock.start()
    time.sleep(0.2)
    clock.stop()
    assert clock.seconds >= 2.2
    assert 1.0 <= clock.work_seconds < 1.1


def test_work_of_a_gpu_is_wall_time() -> None:
    clock = WorkClock(torch.device("cuda"))
    clock.start()
    time.sleep(0.05)
    clock.stop()
    assert clock.state()["work_seconds"] == pytest.approx(clock.seconds, abs=0.01)


def test_work_that_was_not_measured_stays_unknown() -> None:
    clock = WorkClock(torch.device("cpu"), 3.0, None)
    clock.start()
    clock.stop()
    assert clock.state().keys() == {"seconds"}
