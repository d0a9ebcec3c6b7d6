import numpy as np
import pytest
import torch
from torch_geometric.data import Data

from gcahng.graph.visualize.distances import KINDS, batch_distances, draw_distances
from tests.graph.oracle import assert_near


def test_title_and_histograms_equal_the_loop(graph: Data) -> None:
    figure = draw_distances(graph)
    found: dict[str, list[float]] = {kind: [] for kind in KINDS}
    slots, harder = graph.x.view(3, 5, -1), []
    for p in range(3):
        for a in range(5):
            anchor = slots[p, a]
            found["positive"].append(float((anchor - slots[(p + 1) % 3, a]).norm()))
            for b in range(5):
                if b == a:
                    continue
                real = [float((anchor - slots[n, b]).norm()) for n in range(3)]
                made = float((anchor - graph.negatives[p, a, b]).norm())
                found["negative"] += real
                found["synthetic"].append(made)
                harder.append(made < min(real))
    assert 0.2 < np.mean(harder) < 0.98
    assert f": {np.mean(harder):.0%} of the synthetic" in figure._suptitle.get_text()
    upper = max(max(values) for values in found.values())
    drawn = [patch.get_data() for patch in figure.axes[0].patches][1::2]
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    for (heights, edges, _), text, (kind, values) in zip(drawn, legend, found.items(), strict=True):
        assert text == f"{KINDS[kind][2]} (median {np.median(values):.3g})"
        assert edges[-1] == pytest.approx(upper)
        assert heights.sum() == pytest.approx(100)
        counts, _ = np.histogram(values, edges)
        np.testing.assert_allclose(heights, 100 * counts / len(values), atol=2)


def test_own_class_does_not_count(graph: Data) -> None:
    before = draw_distances(graph)._suptitle.get_text()
    own = torch.arange(5)
    graph.negatives[:, own, own] = 1e6
    figure = draw_distances(graph)
    assert figure._suptitle.get_text() == before
    assert figure.axes[0].get_xlim()[1] < 1e3


@pytest.mark.parametrize(("samples", "classes"), [(2, 2), (3, 4)])
def test_distances_equal_the_loop(samples: int, classes: int) -> None:
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
