import pytest
import torch

from gcahng.graph.distances import batch_distances
from tests.graph.oracle import assert_near


@pytest.mark.parametrize(("samples", "classes"), [(2, 2), (3, 4)])
def test_equal_the_loop(samples: int, classes: int) -> None:
    torch.manual_seed(samples)
    slots = torch.randn(samples, classes, 5, dtype=torch.float64)
    negatives = torch.randn(samples, classes, classes, 5, dtype=torch.float64)
    found, harder = batch_distances(slots, negatives), []
    for p in range(samples):
        for a in range(classes):
            anchor = slots[p, a]
            near = (anchor - slots[(p + 1) % samples, a]).norm()
            assert_near("positive", found.positive[p, a], near, 1e-12)
            for k, b in enumerate(c for c in range(classes) if c != a):
                real = torch.stack([(anchor - slots[n, b]).norm() for n in range(samples)])
                assert_near("negative", found.negative[p, a, k], real, 1e-12)
                made = (anchor - negatives[p, a, b]).norm()
                assert_near("synthetic", found.synthetic[p, a, k], made, 1e-12)
                harder.append(float(made < real.min()))
    assert found.harder == pytest.approx(sum(harder) / len(harder))
    assert 0 < found.harder < 1 or classes == 2


def test_without_synthetic_negatives() -> None:
    found = batch_distances(torch.randn(2, 3, 4, requires_grad=True))
    assert found.synthetic is None
    assert found.harder is None
    assert not found.negative.requires_grad
