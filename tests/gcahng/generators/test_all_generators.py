"""What every generator promises, whatever its negatives are."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.optim import AdamW

from gcahng.generators import GENERATORS, NegativeGenerator
from gcahng.losses import NPairLoss
from gcahng.training.step import Optimizers, TrainingStep

SAMPLES, SAMPLED, CHANNELS, CLASSES = 3, 4, 8, 6
SETTINGS: dict[str, dict[str, Any]] = {
    "gca_hng": {"graph": {"heads": 2, "layers": 1, "edge_dropout": "off"}}
}
each = pytest.mark.parametrize("name", sorted(GENERATORS))


def make(name: str, **args: Any) -> NegativeGenerator:
    torch.manual_seed(1)
    made = GENERATORS[name](CHANNELS, CLASSES, **SETTINGS.get(name, {}) | args).double()
    made.hardness.metric.fill_(3.0)
    made.hardness.generator.fill_(15.0)
    return made


def batch(samples: int = SAMPLES) -> tuple[Tensor, Tensor]:
    torch.manual_seed(2)
    z = torch.randn(samples * SAMPLED, CHANNELS, dtype=torch.float64, requires_grad=True)
    return z, torch.tensor([5, 0, 3, 2]).repeat(samples)


@each
@pytest.mark.parametrize("samples", [2, 3])
def test_shapes_and_finite_gradients(name: str, samples: int) -> None:
    made, (z, labels) = make(name, linear_ce_weight=0.5), batch(samples)
    result = made(z, labels)
    result.total.backward()
    if result.negatives is not None:
        assert result.negatives.shape == (samples, SAMPLED, SAMPLED, CHANNELS)
        assert result.losses["synthetic"] > 0
    assert torch.isfinite(z.grad).all()
    assert z.grad.abs().sum() > 0
    assert {"linear_ce"} <= result.losses.keys()
    assert torch.equal(result.total, sum(result.losses.values()))
    assert all(
        p.grad is not None and p.grad.isfinite().all() for p in made.linear_head.parameters()
    )


TRAINED = [name for name in sorted(GENERATORS) if make(name).has_generator_losses]
# Their random draws belong to places in the batch.
DRAW_BY_PLACE = {"das", "metrix", "random_channel"}


@each
def test_same_draws_same_result_and_any_order_of_the_batch(name: str) -> None:
    made, (z, labels) = make(name), batch()
    draws = torch.rand(SAMPLES, SAMPLES - 1, dtype=torch.float64)
    state = {k: v.clone() for k, v in made.state_dict().items()}

    def total(z: Tensor, labels: Tensor) -> Tensor:
        made.load_state_dict(state)  # memories move from call to call
        torch.manual_seed(7)
        return made(z, labels, draws=draws).total

    assert torch.equal(total(z, labels), total(z, labels))
    # Whole classes in another order: the anchors of each class stay what they were.
    order = torch.arange(len(labels)).view(SAMPLES, SAMPLED)[:, [2, 0, 3, 1]].flatten()
    same = torch.allclose(total(z[order], labels[order]), total(z, labels))
    assert same == (name not in DRAW_BY_PLACE)


@each
def test_refuses_foreign_labels_width_and_batches(name: str) -> None:
    made, (z, labels) = make(name), batch()
    with pytest.raises(ValueError, match=r"'labels' in \[0, 6\).*from 1 to 6"):
        made(z, labels + 1)
    with pytest.raises(ValueError, match="width 8"):
        made(z[:, :4], labels)
    with pytest.raises(ValueError, match="class-balanced batch"):
        made(z[:-1], labels[:-1])


@each
def test_on_the_unit_sphere_lengths_do_not_matter(name: str) -> None:
    made, (z, labels) = make(name, normalize=True, temperature=0.2), batch()
    state = {k: v.clone() for k, v in made.state_dict().items()}
    draws = torch.rand(SAMPLES, SAMPLES - 1, dtype=torch.float64)
    totals = []
    for scale in (1.0, 3.0):
        made.load_state_dict(state)
        torch.manual_seed(7)
        totals.append(made(scale * z, labels, draws=draws).total)
    torch.testing.assert_close(*totals)


@each
def test_a_training_step_takes_it(name: str) -> None:
    torch.manual_seed(0)
    net = nn.Linear(5, CHANNELS).double()
    made = make(name, linear_ce_weight=1.0)
    judge = list(made.classifier_parameters())
    optimizers = Optimizers(
        AdamW(net.parameters(), lr=1e-2),
        AdamW(made.head_parameters(), lr=1e-2),
        AdamW(judge, lr=1e-2) if judge else None,
    )
    step = TrainingStep(net, NPairLoss(), made, optimizers)
    images, labels = torch.randn(SAMPLES * SAMPLED, 5, dtype=torch.float64), batch()[1]
    before = made.linear_head[1].weight.detach().clone()
    first = step(images, labels)
    losses = [step(images, labels)["total"] for _ in range(30)]
    assert losses[-1] < first["total"]
    assert not torch.equal(before, made.linear_head[1].weight)
    assert ("generator" in first) == made.has_generator_losses


@each
def test_a_detached_anchor_changes_gradients_only(name: str) -> None:
    _, labels = batch()
    draws, totals, gradients = torch.rand(SAMPLES, SAMPLES - 1).double(), [], []
    for detach in (False, True):
        (z, _), made = batch(), make(name, detach_anchor=detach)
        torch.manual_seed(7)
        totals.append(made(z, labels, draws=draws).total)
        totals[-1].backward()
        gradients.append(z.grad)
    torch.testing.assert_close(*totals)
    mixes = name in ("gca_hng", "hdml", "random_channel", "scalar")
    assert torch.allclose(*gradients) != mixes


@each
def test_evaluation_changes_no_state(name: str) -> None:
    made, (z, labels) = make(name, linear_ce_weight=0.5), batch()
    made(z, labels)  # fills a memory, if it has one
    before = {key: value.clone() for key, value in made.state_dict().items()}
    made.eval()(z, labels)
    assert all(torch.equal(value, before[key]) for key, value in made.state_dict().items())
