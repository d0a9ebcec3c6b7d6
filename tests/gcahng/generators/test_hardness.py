import math

import pytest
import torch

from gcahng.generators.hardness import LossMeans


def record(hardness: LossMeans, *losses: tuple[float, float]) -> None:
    for metric, generator in losses:
        hardness.record(torch.tensor(metric), torch.tensor(generator))


def test_means_of_the_epoch_that_ended() -> None:
    hardness = LossMeans()
    record(hardness, (2.0, 10.0), (4.0, 30.0))
    hardness.end_epoch()
    assert hardness.metric == 3
    assert hardness.generator == 20
    assert float(hardness.strength(6.0)) == pytest.approx(math.exp(-2))
    assert float(hardness.synthetic_weight(20.0)) == pytest.approx(1 - math.exp(-1))
    record(hardness, (8.0, 1.0))
    assert hardness.metric == 3
    hardness.end_epoch()
    assert hardness.metric == 8
    assert hardness.generator == 1


def test_losses_are_floored_one_by_one() -> None:
    hardness = LossMeans()
    record(hardness, (-5.0, 0.0), (1.0, 1e-9))
    hardness.end_epoch()
    assert float(hardness.metric) == pytest.approx((1e-6 + 1) / 2)
    assert float(hardness.generator) == pytest.approx(1e-6, rel=1e-9)
    record(hardness, (-5.0, -5.0))
    hardness.end_epoch()
    assert hardness.strength(5.0) == 0
    assert hardness.synthetic_weight(20.0) == 1


def test_means_and_sums_under_way_travel_with_the_state() -> None:
    hardness, other = LossMeans(), LossMeans()
    record(hardness, (2.0, 3.0))
    hardness.end_epoch()
    record(hardness, (6.0, 7.0))
    other.load_state_dict(hardness.state_dict())
    assert other.metric == 2
    record(other, (8.0, 9.0))
    other.end_epoch()
    assert other.metric == 7
    assert other.generator == 8


def test_stays_in_float64_when_the_generator_is_cast() -> None:
    holder = torch.nn.ModuleList([LossMeans()])
    record(holder[0], (0.1, 0.2))
    for cast in (holder.float, holder.bfloat16, lambda: holder.to("cpu", torch.float32)):
        cast()
        assert {buffer.dtype for buffer in holder.buffers()} == {torch.float64, torch.int64}
    assert holder[0].sums.tolist() == torch.tensor([0.1, 0.2]).double().tolist()
    assert holder.to("meta")[0].metric.device.type == "meta"
