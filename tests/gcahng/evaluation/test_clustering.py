import math
from collections import Counter

import pytest
import torch

from gcahng.evaluation.clustering import clustering_figures, k_means
from gcahng.evaluation.ranking import unit_rows
from tests.gcahng.evaluation.test_ranking import clusters


def nmi_oracle(classes, found):
    """Mutual information over the mean of the entropies, from the definitions."""
    total = len(classes)
    both, left, right = Counter(zip(classes, found, strict=True)), Counter(classes), Counter(found)
    shared = 0.0
    for (a, b), count in both.items():
        shared += count / total * math.log(count * total / (left[a] * right[b]))

    def entropy(counts):
        return -sum(n / total * math.log(n / total) for n in counts.values())

    return shared / ((entropy(left) + entropy(right)) / 2)


def test_nmi_equals_loops():
    embeddings, labels = clusters(noise=1.0)
    found = k_means(unit_rows(embeddings), len(labels.unique())).tolist()
    figures = clustering_figures(embeddings, labels)
    assert figures["nmi"] == pytest.approx(nmi_oracle(labels.tolist(), found), abs=1e-12)
    assert 0 < figures["ami"] < figures["nmi"] < 1


@pytest.mark.parametrize("split", [False, True])
def test_agrees_with_the_calculator_of_pytorch_metric_learning(split):
    accuracy = pytest.importorskip("pytorch_metric_learning.utils.accuracy_calculator")
    embeddings, labels = clusters(noise=1.0)
    labels[0] = labels.max() + 1  # a class of one image, which precision@1 leaves out
    is_query = torch.arange(len(labels)) % 3 == 0 if split else None
    calculator = accuracy.AccuracyCalculator(
        include=("NMI", "AMI", "precision_at_1"),
        device=torch.device("cpu"),
        kmeans_func=lambda rows, count: torch.from_numpy(k_means(rows, count)),
    )
    units = unit_rows(embeddings)
    if is_query is None:
        expected = calculator.get_accuracy(units, labels)
    else:
        rest = ~is_query
        expected = calculator.get_accuracy(
            units[is_query], labels[is_query], units[rest], labels[rest]
        )
    figures = clustering_figures(embeddings, labels, is_query=is_query)
    assert figures["nmi"] == pytest.approx(expected["NMI"], abs=1e-12)
    assert figures["ami"] == pytest.approx(expected["AMI"], abs=1e-12)
    assert figures["precision@1"] == pytest.approx(expected["precision_at_1"], abs=1e-12)


def test_mistakes():
    labels = torch.tensor([4, 4, 4])
    with pytest.raises(ValueError, match="NMI and AMI need queries of at least 2 classes, but"):
        clustering_figures(torch.eye(3), labels)
    with pytest.raises(ValueError, match="No query has another image of its class to retrieve"):
        clustering_figures(torch.eye(3), torch.arange(3))
