from typing import Any

import numpy as np
import pytest
import torch
from torch_geometric.data import Data

from gcahng.graph.visualize.distances import KINDS, draw_distances, draw_hardness, quantiles
from tests.graph.visualize.drawing import assert_legible


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


def _rows(epochs: int) -> list[dict[str, Any]]:
    generator = np.random.default_rng(0)
    means = {"positive": 3, "negative": 7, "synthetic": 4}
    return [
        {
            "epoch": epoch,
            "upper": 10.0,
            "harder": 0.1 + 0.8 * epoch / epochs,
            "diversity": 0.5,
            **{
                kind: np.histogram(generator.normal(mean, 1, 500), 40, (0, 10))[0].tolist()
                for kind, mean in means.items()
            },
        }
        for epoch in range(1, epochs + 1)
    ]


def test_quantiles_lie_within_their_bins() -> None:
    values = np.random.default_rng(0).normal(5, 1, 2000).clip(0, 9.99)
    row = {"upper": 10.0, "positive": np.histogram(values, 40, (0, 10))[0].tolist()}
    found = quantiles(row, "positive", (0.1, 0.5, 0.9))
    np.testing.assert_allclose(found, np.quantile(values, (0.1, 0.5, 0.9)), atol=0.25 / 2)
    assert np.isnan(quantiles(row, "negative", (0.5,))).all()
    # All in the second of four parts of [0, 8]: evenly spread there.
    row = {"upper": 8.0, "positive": [0, 5, 0, 0]}
    np.testing.assert_allclose(quantiles(row, "positive", (0.25, 0.5)), [2.5, 3])


def test_curves_show_the_rows() -> None:
    rows = _rows(5)
    figure = draw_hardness(rows)
    bands, harder, diversity = figure.axes
    assert [line.get_label() for line in bands.lines] == [name for *_, name in KINDS.values()]
    for line, kind in zip(bands.lines, KINDS, strict=True):
        medians = [quantiles(row, kind, (0.5,))[0] for row in rows]
        np.testing.assert_allclose(line.get_xydata(), np.stack([range(1, 6), medians], axis=1))
    np.testing.assert_allclose(harder.lines[0].get_ydata(), [26, 42, 58, 74, 90])
    np.testing.assert_allclose(diversity.lines[0].get_ydata(), 0.5)
    assert "26% in epoch 1, 90% in epoch 5" in figure._suptitle.get_text()


@pytest.mark.slow
@pytest.mark.parametrize("epochs", [1, 2, 200])
def test_legible(epochs: int) -> None:
    assert_legible(draw_hardness(_rows(epochs)))
