import pytest
import torch

from gcahng.config import load_config
from gcahng.data import ImageDataset
from gcahng.evaluation.evaluate import figures_by_class
from gcahng.evaluation.ranking import unit_rows
from gcahng.evaluation.retrieval import retrieval_metrics
from tests.gcahng.evaluation.test_ranking import clusters


class Labelled(ImageDataset):
    """A data set without images, whose classes are called as their numbers."""

    def __init__(self, labels, is_query=None):
        super().__init__(None, "test")
        self.labels, self.is_query = labels, is_query
        self.classes = list(range(int(labels.max()) + 1))

    def load(self, index):
        raise NotImplementedError


def loop_oracle(embeddings, labels, is_query=None):
    """Own class and class found of every query, counted in loops in float64."""
    units = unit_rows(embeddings).double()
    items = range(len(labels))
    counts = {}
    for q in items:
        if is_query is not None and not is_query[q]:
            continue
        gallery = [i for i in items if i != q and (is_query is None or not is_query[i])]
        nearest = min(gallery, key=lambda i, q=q: (-float(units[q] @ units[i]), i))
        pair = int(labels[q]), int(labels[nearest])
        counts[pair] = counts.get(pair, 0) + 1
    return counts


@pytest.mark.parametrize("engine", ["torch", "faiss"])
@pytest.mark.parametrize("split", [False, True])
def test_equals_loops(engine, split):
    embeddings, labels = clusters(noise=1.5)
    is_query = torch.arange(len(labels)) % 3 == 0 if split else None
    counts = loop_oracle(embeddings, labels, is_query)
    config = load_config("digits", [f"eval.engine={engine}"])
    rows = figures_by_class(embeddings, Labelled(labels, is_query), config)
    sizes = {}
    for (own, _), count in counts.items():
        sizes[own] = sizes.get(own, 0) + count
    assert {row["class"]: (row["queries"], row["recall@1"]) for row in rows} == {
        label: (size, counts.get((label, label), 0) / size) for label, size in sizes.items()
    }
    for row in rows:
        wrong = {b: count for (a, b), count in counts.items() if a == row["class"] != b}
        assert row["taken"] == max(wrong.values(), default=None)
        assert row["taken_for"] is None if not wrong else wrong[row["taken_for"]] == row["taken"]


@pytest.mark.parametrize("exclude", ["self", "first"])
def test_the_weighted_mean_is_recall_at_1(exclude):
    embeddings, labels = clusters(noise=1.0)
    embeddings = torch.cat([embeddings, embeddings[:5]])  # duplicates, where `exclude` matters
    labels = torch.cat([labels, labels[:5].roll(1)])
    how = {"self": "corrected", "first": "faithful"}[exclude]
    config = load_config("digits", [f"quirks.evaluation={how}"])
    rows = figures_by_class(embeddings, Labelled(labels), config)
    queries = torch.tensor([float(row["queries"]) for row in rows])
    recalls = [row["recall@1"] for row in rows]
    mean = float((queries * torch.tensor(recalls)).sum() / queries.sum())
    expected = retrieval_metrics(embeddings, labels, (1,), exclude=exclude)["recall@1"]
    assert mean == pytest.approx(expected, rel=1e-6)
    assert recalls == sorted(recalls)
