import math

import pytest
import torch

from gcahng.training.loss_log import LossLog, NonFiniteLossError


def losses(**values: float) -> dict[str, torch.Tensor]:
    return {name: torch.tensor(value) for name, value in values.items()}


def test_means_over_the_steps() -> None:
    log = LossLog(1)
    log.add(losses(metric=1.0, generator=4.0))
    log.add(losses(metric=2.0, generator=8.0))
    assert log.means() == {"metric": 1.5, "generator": 6.0}


def test_no_steps_no_means() -> None:
    assert LossLog(1).means() == {}


def test_keeps_no_graph_and_no_caller_memory() -> None:
    log, loss = LossLog(1), torch.tensor(2.0, requires_grad=True)
    value = loss * 1
    log.add({"metric": value})
    value.data.fill_(9)
    assert log.means() == {"metric": 2.0}
    assert not log.state()["rows"].requires_grad


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
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


def test_goes_on_from_its_state() -> None:
    first, whole = LossLog(1), LossLog(1)
    for log in (first, whole):
        log.add(losses(metric=1.0))
    second = LossLog(1, first.state())
    for log in (second, whole):
        log.add(losses(metric=4.0))
    assert second.means() == whole.means() == {"metric": 2.5}


def test_a_row_is_copied_from_the_device_once(monkeypatch: pytest.MonkeyPatch) -> None:
    copied: list[int] = []

    def copy(tensor: torch.Tensor) -> torch.Tensor:
        copied.append(len(tensor))
        return tensor.clone()

    monkeypatch.setattr(torch.Tensor, "cpu", copy)
    log = LossLog(1)
    for number in range(6):
        log.names, row = ["metric"], torch.tensor([float(number)]).double()
        log._new.append(row)  # as on a device that is not waited for
        if number % 2:
            log.means()
    log.state()
    assert copied == [2, 2, 2]
