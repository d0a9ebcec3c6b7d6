import json
import sys

import pytest
import torch
from safetensors.torch import load_file

from gcahng.evaluation.ranking import unit_rows
from gcahng.evaluation.retrieval import nearest_neighbours, retrieval_metrics
from tests.gcahng.evaluation.test_ranking import clusters, coarse
from tests.golden import golden_folders

ENGINES = ("torch", "faiss")


def golden_files():
    files = []
    for path in sorted(p for folder in golden_folders() for p in folder.glob("*.safetensors")):
        beside = path.with_suffix(".json").exists()
        if beside and {"embeddings", "labels", "is_query"} <= load_file(path).keys():
            files.append(path)
    return files


def loop_oracle(embeddings, labels, ks, is_query=None, exclude="self"):
    """The metrics computed from their definitions, query by query in float64."""
    units = unit_rows(embeddings).double()
    items = range(len(labels))
    queries = [i for i in items if is_query is None or is_query[i]]
    recalls = dict.fromkeys(ks, 0)
    average_precisions, precisions = [], []
    for q in queries:
        gallery = [i for i in items if is_query is None or not is_query[i]]
        ranked = sorted(gallery, key=lambda i, q=q: (-float(units[q] @ units[i]), i))
        if is_query is None:
            ranked.remove(q if exclude == "self" else ranked[0])
        right = [bool(labels[i] == labels[q]) for i in ranked]
        possible = sum(bool(labels[i] == labels[q]) for i in gallery if i != q)
        for k in ks:
            recalls[k] += any(right[:k])
        if possible:
            within = right[:possible]
            precisions.append(sum(within) / possible)
            gains = [sum(within[: i + 1]) / (i + 1) for i, hit in enumerate(within) if hit]
            average_precisions.append(sum(gains) / possible)
    figures = {f"recall@{k}": recalls[k] / len(queries) for k in ks}
    figures["map@r"] = sum(average_precisions) / len(average_precisions)
    figures["r_precision"] = sum(precisions) / len(precisions)
    return figures


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("path", golden_files(), ids=lambda path: path.stem)
def test_published_figures_golden(path, engine):
    tensors = load_file(path)
    golden = json.loads(path.with_suffix(".json").read_text())
    for expected, is_query in (
        (golden, None),
        (golden["query_gallery"], tensors["is_query"].bool()),
    ):
        ks = [int(k) for k in expected["recall"]]
        for exclude in ("self", "first"):
            figures = retrieval_metrics(
                tensors["embeddings"],
                tensors["labels"],
                ks,
                is_query=is_query,
                engine=engine,
                exclude=exclude,
            )
            assert {k: figures[f"recall@{k}"] for k in ks} == {
                int(k): recall for k, recall in expected["recall"].items()
            }
            assert 100 * figures["map@r"] == pytest.approx(expected["map_at_r"], rel=1e-6)
            assert 100 * figures["r_precision"] == pytest.approx(expected["r_precision"], rel=1e-6)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("with_queries", [False, True])
@pytest.mark.parametrize("make", [clusters, coarse])
def test_agrees_with_loop(make, with_queries, engine):
    embeddings, labels = make(count=90)
    labels[0] = 77  # a class of one image
    labels[1:30] = 3  # and a large one
    is_query = torch.arange(90) % 3 == 0 if with_queries else None
    for exclude in ("self", "first"):
        expected = loop_oracle(embeddings, labels, (1, 3, 200), is_query, exclude)
        options = {"is_query": is_query, "engine": engine, "exclude": exclude}
        figures = retrieval_metrics(embeddings, labels, (1, 3, 200), **options)
        assert figures == pytest.approx(expected, rel=1e-12)
        assert figures["recall@3"] == expected["recall@3"]


def test_permutation_scale_and_dtype_do_not_matter():
    embeddings, labels = clusters(count=200)
    expected = retrieval_metrics(embeddings, labels)
    order = torch.randperm(200)
    scale = torch.rand(200, 1) * 100 + 1e-3
    assert retrieval_metrics(embeddings[order], labels[order]) == pytest.approx(expected, rel=1e-12)
    assert retrieval_metrics(embeddings * scale, labels) == pytest.approx(expected, rel=1e-12)
    assert retrieval_metrics(embeddings.double() * 1e-200, labels) == pytest.approx(expected)
    assert retrieval_metrics(embeddings * 1e30, labels) == pytest.approx(expected)
    for dtype in (torch.float16, torch.bfloat16):
        rounded = embeddings.to(dtype)
        assert retrieval_metrics(rounded, labels) == retrieval_metrics(rounded.float(), labels)
    assert retrieval_metrics(embeddings.requires_grad_(), labels) == expected


@pytest.mark.parametrize("engine", ENGINES)
def test_duplicate_above_the_query_shows_the_published_quirk(engine):
    # Rows 0 and 1 are one image with two labels. Ranked for row 1, row 0 comes first by index:
    # 'first' removes it as the query and counts row 1 itself as a correct match.
    embeddings = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.6, 0.8]])
    labels = torch.tensor([0, 1, 1, 0])
    corrected = retrieval_metrics(embeddings, labels, (1,), engine=engine)
    published = retrieval_metrics(embeddings, labels, (1,), engine=engine, exclude="first")
    assert corrected["recall@1"] == 0.0
    assert published["recall@1"] == 0.25


def test_query_without_relevant_items_is_a_miss_and_leaves_the_means():
    embeddings = torch.tensor([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0]])
    figures = retrieval_metrics(embeddings, torch.tensor([4, 4, 9]), (1, 50))
    assert figures["recall@1"] == pytest.approx(2 / 3)
    assert figures["recall@50"] == pytest.approx(2 / 3)
    assert figures["map@r"] == figures["r_precision"] == 1.0


@pytest.mark.parametrize("engine", ENGINES)
def test_nearest_neighbours_index_the_embeddings(engine):
    embeddings, _ = clusters(count=60)
    units = torch.nn.functional.normalize(embeddings)
    similarities, indices = nearest_neighbours(embeddings, 59, engine=engine)
    assert indices.shape == (60, 59)
    assert not (indices == torch.arange(60)[:, None]).any()
    is_query = torch.arange(60) % 5 == 2
    similarities, indices = nearest_neighbours(embeddings, 4, is_query=is_query, engine=engine)
    assert indices.shape == (12, 4)
    assert not is_query[indices].any()
    expected = (units[is_query][:, None] * units[indices]).sum(dim=2)
    torch.testing.assert_close(similarities, expected)
    assert torch.equal(similarities, similarities.sort(dim=1, descending=True).values)


VALID = {"embeddings": torch.eye(4), "labels": torch.tensor([0, 0, 1, 1])}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"embeddings": torch.ones(4)}, r"\[N, D\].*\[4\]"),
        ({"embeddings": torch.ones(1, 4), "labels": torch.tensor([0])}, "at least 2 rows"),
        ({"embeddings": torch.eye(4).fill_diagonal_(torch.nan)}, "4 of 4 rows.*NaN"),
        ({"labels": torch.tensor([0, 0, 1])}, r"integer \[4\].*\[3\]"),
        ({"labels": torch.arange(4)}, "No query has another image"),
        ({"is_query": torch.tensor([1, 0, 1, 0])}, "bool"),
        ({"is_query": torch.ones(4, dtype=torch.bool)}, "marks some rows but not all"),
        ({"engine": "annoy"}, "Unknown engine 'annoy': choose one of torch, faiss"),
        ({"exclude": "last"}, "Unknown exclude 'last': choose one of self, first"),
        ({"ks": (0, 1)}, "positive"),
    ],
)
def test_user_errors_say_what_is_wrong(change, message):
    with pytest.raises(ValueError, match=message):
        retrieval_metrics(**{**VALID, **change})


def test_missing_faiss_names_the_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(ImportError, match="faiss-cpu"):
        retrieval_metrics(**VALID, engine="faiss")
