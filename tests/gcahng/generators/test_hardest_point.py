"""Symmetrical synthesis, embedding expansion and densely-anchored sampling beside loops."""

import pytest
import torch
from torch import Tensor

from gcahng.generators import GENERATORS
from tests.gcahng import oracle
from tests.gcahng.generators.test_all_generators import CHANNELS, SAMPLED, batch, make
from tests.graph.oracle import assert_near

samples = pytest.mark.parametrize("samples", [2, 3, 4])


def slots_of(z: Tensor, count: int) -> Tensor:
    return z.detach().view(count, SAMPLED, CHANNELS)


def mirrored(slots: Tensor, b: int) -> list[Tensor]:
    """Each sample mirrored at the axis of each slot next to its own."""
    points, count = [], len(slots)
    for n in range(count):
        for other in sorted({(n - 1) % count, (n + 1) % count}):
            z, axis = slots[n, b], slots[other, b]
            points.append(2 * (z @ axis) / (axis @ axis) * axis - z)
    return points


def divided(slots: Tensor, b: int, between: int) -> list[Tensor]:
    """Points between each sample and the next slot's, at the ends' length in proportion."""
    points, count = [], len(slots)
    for n in range(count if count > 2 else 1):
        z, other = slots[n, b], slots[(n + 1) % count, b]
        for i in range(1, between + 1):
            share = i / (between + 1)
            point = share * z + (1 - share) * other
            length = share * z.norm() + (1 - share) * other.norm()
            points.append(point / point.norm() * length)
    return points


def hardest(slots: Tensor, points: list[list[Tensor]]) -> Tensor:
    """For each anchor and class the point of the largest product."""
    count, classes, _ = slots.shape
    rows = [
        max([*slots[:, b], *points[b]], key=lambda c, z=slots[p, a]: float(z @ c))
        for p in range(count)
        for a in range(classes)
        for b in range(classes)
    ]
    return torch.stack(rows).view(count, classes, classes, -1)


@samples
def test_symmetrical_synthesis(samples: int) -> None:
    made, (z, labels) = make("symmetrical_synthesis"), batch(samples)
    slots = slots_of(z, samples)
    expected = hardest(slots, [mirrored(slots, b) for b in range(SAMPLED)])
    result = made(z, labels)
    assert_near("negatives", result.negatives, expected, 1e-12)
    assert_near("term", result.losses["synthetic"], oracle.synthetic_npair(slots, expected), 1e-12)
    points = made.points(slots, None)
    assert_near("length", points.norm(dim=-1)[:samples], slots.norm(dim=-1), 1e-12)


@samples
def test_hardest_real(samples: int) -> None:
    made, (z, labels) = make("hardest_real"), batch(samples)
    slots = slots_of(z, samples)
    expected = hardest(slots, [[] for _ in range(SAMPLED)])
    assert_near("negatives", made(z, labels).negatives, expected, 1e-12)


@samples
@pytest.mark.parametrize("between", [1, 3])
def test_embedding_expansion(samples: int, between: int) -> None:
    made, (z, labels) = make("embedding_expansion", points_between=between), batch(samples)
    slots = slots_of(z, samples)
    expected = hardest(slots, [divided(slots, b, between) for b in range(SAMPLED)])
    result = made(z, labels)
    assert_near("negatives", result.negatives, expected, 1e-12)
    assert len(made.points(slots, None)) == between * (1 if samples == 2 else samples)


def test_das_counts_scales_and_shifts() -> None:
    made, (z, labels) = make("das", produced=2, channels=2, shift=0.5, remembered=3), batch()
    slots = slots_of(z, 3)
    torch.manual_seed(4)
    result = made(z, labels)
    classes = [5, 0, 3, 2]
    for b, label in enumerate(classes):
        counts = torch.zeros(CHANNELS)
        for n in range(3):
            counts[slots[n, b].topk(2).indices] += 1
        assert made.counts[label].tolist() == counts.tolist()
        remembered = [slots[n, b] - slots[(n + 1) % 3, b] for n in range(3)]
        assert_near("memory", made.bank[label], torch.stack(remembered), 1e-12)
    assert made.counts[1].sum() == 0, "classes outside the batch are left alone"

    torch.manual_seed(4)
    again = make("das", produced=2, channels=2, shift=0.5, remembered=3)
    torch.manual_seed(4)
    layout = result.layout
    points = again.points(slots, layout)
    for k, point in enumerate(points.view(2, 3, SAMPLED, CHANNELS).flatten(0, 1)):
        for b, label in enumerate(classes):
            top = made.counts[label].topk(2).indices
            z_b, rest = slots[k % 3, b], [c for c in range(CHANNELS) if c not in top]
            shifts = [0.5 * t for t in made.bank[label]]
            error = [float((point[b] - z_b - t)[rest].abs().max()) for t in shifts]
            shift = shifts[error.index(min(error))]
            assert min(error) < 1e-12, "other channels are only shifted"
            factors = (point[b] - shift)[top] / z_b[top]
            assert ((factors >= 0.5 - 1e-9) & (factors <= 2 + 1e-9)).all()
    expected = hardest(slots, [list(points[:, b]) for b in range(SAMPLED)])
    assert_near("negatives", result.negatives, expected, 1e-12)


def test_das_points_carry_no_gradient_and_its_memory_is_a_ring() -> None:
    made, (z, labels) = make("das", remembered=4), batch()
    assert not made.points(z.view(3, SAMPLED, CHANNELS), made._layout(labels, None)).requires_grad
    for _ in range(3):
        made(z, labels)
    assert made.filled[5] == 12
    slots = slots_of(z, 3)
    newest = slots[2, 0] - slots[0, 0]
    assert_near("newest", made.bank[5, 11 % 4], newest, 1e-12)


MISTAKES = [
    ("embedding_expansion", {"points_between": 0}, "points_between: expected a value greater"),
    ("das", {"channels": 9}, r"'channels' of at most 8 \(got 9\)"),
    ("das", {"produced": 0}, "produced: expected a value greater"),
    ("das", {"scale": (2.0, 0.5)}, "two ascending factors"),
]


@pytest.mark.parametrize(("name", "args", "sentence"), MISTAKES)
def test_mistakes(name: str, args: dict[str, object], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        GENERATORS.build(name, CHANNELS, 3, **args)
