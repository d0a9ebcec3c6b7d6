"""What a training measures: its losses."""

import math

import pytest
import torch

from gcahng.training.measurements import LossLog, NonFiniteLossError


def losses(**values: float) -> dict[str, torch.Tensor]:
    return {name: torch.tensor(value) for name, value in values.items()}


def test_means_keep_no_graph_and_no_caller_memory_and_go_on_from_a_state() -> None:
    value = torch.tensor(1.0, requires_grad=True) * 1
    first = LossLog(1)
    first.add({"metric": value, "generator": torch.tensor(4.0)})
    value.data.fill_(9)
    assert not first.state()["rows"].requires_grad
    for log in (first, LossLog(1, first.state())):
        log.add(losses(metric=2.0, generator=8.0))
        assert log.means() == {"metric": 1.5, "generator": 6.0}


@pytest.mark.parametrize("value", [math.nan, -math.inf])
def test_names_step_epoch_and_terms(value: float) -> None:
    log = LossLog(7)
    log.add(losses(metric=1.0, generator=4.0))
    log.add(losses(metric=1.0, generator=4.0))
    with pytest.raises(NonFiniteLossError) as info:
        log.add(losses(metric=0.25, generator=value))
    message = str(info.value)
    assert f"step 3 of epoch 7 (metric = 0.25, generator = {value})" in message
    assert "optim.embedder.lr" in message


def test_means_finds_the_first_bad_step_of_a_device_that_was_not_waited_for() -> None:
    log = LossLog(2)
    log.names = ["metric"]
    log._new = [torch.tensor([value]).double() for value in (1.0, math.nan, math.inf)]
    with pytest.raises(NonFiniteLossError, match=r"step 2 of epoch 2 \(metric = nan\)"):
        log.means()
