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
    assert {one.label: (one.queries, one.hits) for one in figures.classes} == {
        label: (size, counts.get((label, label), 0)) for label, size in sizes.items()
    }
    for one in figures.classes:
        wrong = {b: count for (a, b), count in counts.items() if a == one.label != b}
        assert one.taken == max(wrong.values(), default=0)
        assert one.taken_for is None if not wrong else wrong[one.taken_for] == one.taken
    pairs = {(p.first, p.second): (p.first_as_second, p.second_as_first) for p in figures.pairs}
    wrong = {(min(a, b), max(a, b)) for a, b in counts if a != b}
    assert wrong
    assert pairs == {(a, b): (counts.get((a, b), 0), counts.get((b, a), 0)) for a, b in wrong}
    shares = [pair.share for pair in figures.pairs]
    assert shares == sorted(shares, reverse=True)
    assert figures.pairs[0].queries == sum(
        sizes.get(label, 0) for label in (figures.pairs[0].first, figures.pairs[0].second)
    )


@pytest.mark.parametrize("exclude", ["self", "first"])
def test_the_weighted_mean_is_recall_at_1(exclude):
    embeddings, labels = clusters(noise=1.0)
    embeddings = torch.cat([embeddings, embeddings[:5]])  # duplicates, where `exclude` matters
    labels = torch.cat([labels, labels[:5].roll(1)])
    figures = class_figures(embeddings, labels, exclude=exclude)
    mean = sum(one.hits for one in figures.classes) / sum(one.queries for one in figures.classes)
    assert mean == retrieval_metrics(embeddings, labels, (1,), exclude=exclude)["recall@1"]
    recalls = [one.recall for one in figures.classes]
    assert recalls == sorted(recalls)


def test_mistakes():
    with pytest.raises(ValueError, match=r"Expected 'labels' as an integer \[3\] tensor"):
        class_figures(torch.eye(3), torch.zeros(2, dtype=torch.long))
    with pytest.raises(ValueError, match="Unknown exclude 'last': choose one of self, first"):
        class_figures(torch.eye(3), torch.tensor([0, 0, 1]), exclude="last")
