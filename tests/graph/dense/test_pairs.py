import pytest
import torch
from torch import Tensor

from gcahng.graph.dense.pairs import (
    complete_edges,
    endpoint_dropout_mask,
    pairs_of_edges,
    unordered_pairs,
)
from tests.graph.oracle import assert_near

SIZE = 5
CPU = torch.device("cpu")
PAIRS = [(i, j) for i in range(SIZE) for j in range(i, SIZE)]


def values(channels: int = 3) -> Tensor:
    torch.manual_seed(0)
    return torch.randn(len(PAIRS), channels, dtype=torch.float64)


def test_rows_columns_and_weights() -> None:
    pairs = unordered_pairs(SIZE, CPU)
    assert pairs.num_nodes == SIZE
    assert list(zip(pairs.row.tolist(), pairs.col.tolist(), strict=True)) == PAIRS
    assert pairs.weight.tolist() == [1 if i == j else 2 for i, j in PAIRS]


def test_index_finds_the_pair_of_both_directions() -> None:
    index = unordered_pairs(SIZE, CPU).index
    for i in range(SIZE):
        for j in range(SIZE):
            assert PAIRS[int(index[i, j])] == (min(i, j), max(i, j))


def test_to_dense_equals_the_loop() -> None:
    dense, v = unordered_pairs(SIZE, CPU).to_dense(values()), values()
    for i in range(SIZE):
        for j in range(SIZE):
            assert torch.equal(dense[i, j], v[PAIRS.index((min(i, j), max(i, j)))])
    torch.autograd.gradcheck(unordered_pairs(SIZE, CPU).to_dense, values(2).requires_grad_())


@pytest.mark.parametrize("size", [1, 4, 5, 15, 100])
def test_chunks_cover_every_pair_once(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gcahng.graph.dense.pairs.CPU_CHUNK", size)
    numbers = list(range(len(PAIRS)))
    chunks = [numbers[chunk] for chunk in unordered_pairs(SIZE, CPU).chunks()]
    assert [number for chunk in chunks for number in chunk] == numbers
    assert max(map(len, chunks)) == min(size, len(PAIRS))
    assert min(map(len, chunks)) > 0


def test_ends_of_a_chunk_equal_the_loop(chunk: int) -> None:
    pairs, v = unordered_pairs(SIZE, CPU), values()
    nodes = torch.randn(SIZE, 3, dtype=torch.float64)
    total, expected = nodes.clone(), nodes.clone()
    for part in pairs.chunks():
        ends = pairs.gather_endpoints(nodes, part)
        apart = pairs.off_diagonal(part, torch.float64)
        for place, (i, j) in enumerate(PAIRS[part]):
            assert torch.equal(ends[0][place], nodes[i])
            assert torch.equal(ends[1][place], nodes[j])
            assert apart[place].tolist() == [float(i != j)]
        pairs.scatter_to_endpoints(total, v[part], part)
    for value, (i, j) in zip(v, PAIRS, strict=True):
        for node in {i, j}:
            expected[node] += value
    assert_near("sum", total, expected, 1e-14)


def test_pairs_first_made_in_inference_mode_serve_training() -> None:
    unordered_pairs.cache_clear()
    with torch.inference_mode():
        unordered_pairs(SIZE, CPU)
    v = values().requires_grad_()
    unordered_pairs(SIZE, CPU).to_dense(v).sum().backward()
    assert v.grad[:2, 0].tolist() == [1, 2]


def test_endpoint_dropout_mask_draws_each_weight_at_the_rate() -> None:
    torch.manual_seed(0)
    mask = endpoint_dropout_mask(4000, 3, 0.1, torch.zeros(1, dtype=torch.float64))
    assert mask.shape == (4000, 2, 3)
    assert mask.dtype == torch.float64
    assert set(mask.unique().tolist()) == {0.0, 1 / 0.9}
    torch.testing.assert_close(mask.mean((0,)), torch.ones(2, 3).double(), atol=0.03, rtol=0)


def test_pairs_of_the_batch_graph_are_those_of_any_graph() -> None:
    edges = complete_edges(5, torch.device("cpu"))
    count, known = pairs_of_edges(edges, 5)
    same_count, found = pairs_of_edges(edges.clone(), 5)
    assert count == same_count == 15
    assert torch.equal(known, found)
    count, found = pairs_of_edges(torch.tensor([[0, 2, 1, 2], [2, 0, 2, 2]]), 3)
    assert count == 3
    assert found.tolist() == [0, 0, 1, 2]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_dropout_factors_are_not_rounded_to_half_precision(dtype: torch.dtype) -> None:
    mask = endpoint_dropout_mask(200, 2, 0.1, torch.empty(0, dtype=dtype))
    assert mask.unique().tolist() == [0.0, pytest.approx(1 / 0.9, rel=1e-6)]
