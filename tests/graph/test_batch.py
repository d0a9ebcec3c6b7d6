from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch_geometric.data import Data

from gcahng.graph import batch_graph, check_batch_graph, pair_graph
from tests.graph import oracle


def embeddings(size: int = 6, channels: int = 5) -> Tensor:
    torch.manual_seed(0)
    return torch.randn(size, channels, dtype=torch.float64) + 2


LABELS = torch.arange(3).repeat(2)


def test_equals_the_loop() -> None:
    z = embeddings()
    data = batch_graph(z, LABELS)
    assert torch.equal(data.edge_index, oracle.complete_edges(6))
    oracle.assert_near("edge_attr", data.edge_attr, oracle.correlation_edges(z), 1e-13)
    assert data.x is z
    assert data.y is LABELS
    check_batch_graph(data)


@pytest.mark.parametrize("value", [0.0, 0.1, 3.0])
def test_constant_embedding_gives_numbers(value: float) -> None:
    z = embeddings()
    z[2] = value
    z.requires_grad_()
    data = batch_graph(z, LABELS)
    data.edge_attr.square().sum().backward()
    assert data.edge_attr.isfinite().all()
    assert z.grad.isfinite().all()


def test_pair_graph_is_the_same_graph() -> None:
    z = embeddings()
    graph = pair_graph(z, LABELS)
    assert graph.edge_attr.shape == (21, 5)
    edges = graph.pairs.to_dense(graph.edge_attr).flatten(0, 1)
    assert torch.equal(edges, batch_graph(z, LABELS).edge_attr)
    assert graph.x is z
    assert graph.y is LABELS


@pytest.mark.parametrize("build", [batch_graph, pair_graph])
def test_gradcheck(build: Callable[[Tensor, Tensor], Data]) -> None:
    z = embeddings(4, 3).requires_grad_()
    torch.autograd.gradcheck(lambda z: build(z, LABELS[:4]).edge_attr, z)


@pytest.mark.parametrize("build", [batch_graph, pair_graph])
def test_half_precision_embeddings_give_single_precision_edges(
    build: Callable[[Tensor, Tensor], Data],
) -> None:
    assert build(embeddings().bfloat16(), LABELS).edge_attr.dtype == torch.float32


@pytest.mark.parametrize("build", [batch_graph, pair_graph])
@pytest.mark.parametrize(
    ("z", "labels", "message"),
    [
        (torch.zeros(6), LABELS, r"'embeddings' .* \[6\]"),
        (torch.zeros(6, 2).long(), LABELS, r"'embeddings' .* torch.int64"),
        (torch.zeros(5, 2), LABELS, r"'labels' with 5 entries \(got shape \[6\]\)"),
        (torch.zeros(6, 2), LABELS.float(), r"'labels' as integers \(got torch.float32\)"),
    ],
)
def test_refuses_wrong_shapes(
    build: Callable[[Tensor, Tensor], Data], z: Tensor, labels: Tensor, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        build(z, labels)


@pytest.mark.parametrize(
    ("name", "damage", "message"),
    [
        (
            "edge_index",
            lambda edges: edges[:, :3],
            r"'edge_index' .*got \[2, 3\]",
        ),
        ("edge_attr", lambda values: values[:3], r"'edge_attr' with 36 rows \(got \[3, 5\]\)"),
        ("edge_attr", lambda values: values[:, 0], r"'edge_attr' with 36 rows \(got \[36\]\)"),
        ("edge_index", lambda edges: edges[:, torch.randperm(36)], "row-major"),
        ("edge_index", lambda edges: edges.flip(0), "row-major"),
        ("y", lambda labels: labels[:4], r"'labels' with 6 entries \(got shape \[4\]\)"),
    ],
)
def test_check_refuses_damage(name: str, damage: Callable[[Tensor], Tensor], message: str) -> None:
    data = batch_graph(embeddings(), LABELS)
    data[name] = damage(data[name])
    with pytest.raises(ValueError, match=message):
        check_batch_graph(data)
