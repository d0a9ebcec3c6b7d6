import pytest
import torch

from gcahng.evaluation.classes import class_figures
from gcahng.evaluation.ranking import unit_rows
from gcahng.evaluation.retrieval import retrieval_metrics
from tests.gcahng.evaluation.test_ranking import clusters


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
    figures = class_figures(embeddings, labels, is_query=is_query, engine=engine)
    sizes = {}
    for (own, _), count in counts.items():
        sizes[own] = sizes.get(own, 0) + count
    assert {row["class"]: (row["queries"], row["recall@1"]) for row in figures.classes} == {
        label: (size, counts.get((label, label), 0) / size) for label, size in sizes.items()
    }
    for row in figures.classes:
        wrong = {b: count for (a, b), count in counts.items() if a == row["class"] != b}
        assert row["taken"] == max(wrong.values(), default=None)
        assert row["taken_for"] is None if not wrong else wrong[row["taken_for"]] == row["taken"]
    pairs = {
        (row["first"], row["second"]): (row["first_as_second"], row["second_as_first"])
        for row in figures.pairs
    }
    wrong = {(min(a, b), max(a, b)) for a, b in counts if a != b}
    assert wrong
    assert pairs == {(a, b): (counts.get((a, b), 0), counts.get((b, a), 0)) for a, b in wrong}
    shares = [row["share"] for row in figures.pairs]
    assert shares == sorted(shares, reverse=True)
    worst = figures.pairs[0]
    assert worst["queries"] == sizes.get(worst["first"], 0) + sizes.get(worst["second"], 0)


@pytest.mark.parametrize("exclude", ["self", "first"])
def test_the_weighted_mean_is_recall_at_1(exclude):
    embeddings, labels = clusters(noise=1.0)
    embeddings = torch.cat([embeddings, embeddings[:5]])  # duplicates, where `exclude` matters
    labels = torch.cat([labels, labels[:5].roll(1)])
    figures = class_figures(embeddings, labels, exclude=exclude)
    queries = torch.tensor([float(row["queries"]) for row in figures.classes])
    recalls = [row["recall@1"] for row in figures.classes]
    mean = float((queries * torch.tensor(recalls)).sum() / queries.sum())
    expected = retrieval_metrics(embeddings, labels, (1,), exclude=exclude)["recall@1"]
    assert mean == pytest.approx(expected, rel=1e-6)
    assert recalls == sorted(recalls)


def test_mistakes():
    with pytest.raises(ValueError, match=r"Expected 'labels' as an integer \[3\] tensor"):
        class_figures(torch.eye(3), torch.zeros(2, dtype=torch.long))
    with pytest.raises(ValueError, match="Unknown exclude 'last': choose one of self, first"):
        class_figures(torch.eye(3), torch.tensor([0, 0, 1]), exclude="last")
