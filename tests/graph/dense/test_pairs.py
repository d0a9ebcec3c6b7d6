import torch
from torch import Tensor

from gcahng.graph.dense.pairs import complete_edges, pairs_of_edges, unordered_pairs
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


def test_to_dense_equals_the_loop() -> None:
    dense, v = unordered_pairs(SIZE, CPU).to_dense(values()), values()
    for i in range(SIZE):
        for j in range(SIZE):
            assert torch.equal(dense[i, j], v[PAIRS.index((min(i, j), max(i, j)))])
    torch.autograd.gradcheck(unordered_pairs(SIZE, CPU).to_dense, values(2).requires_grad_())


def test_ends_of_a_chunk_equal_the_loop(chunk: int) -> None:
    pairs, v = unordered_pairs(SIZE, CPU), values()
    nodes = torch.randn(SIZE, 3, dtype=torch.float64)
    total, expected = nodes.clone(), nodes.clone()
    for part in pairs.chunks():
        ends = pairs.gather_endpoints(nodes, part)
        apart = pairs.mirrored(part, torch.float64)
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
    size = 41  # of no other test, since pairs are kept
    with torch.inference_mode():
        count = unordered_pairs(size, CPU).total
    v = torch.ones(count, 1, requires_grad=True)
    unordered_pairs(size, CPU).to_dense(v).sum().backward()
    assert v.grad[:2, 0].tolist() == [1, 2]


def test_pairs_stay_where_a_recorded_cuda_graph_reads_them() -> None:
    first = unordered_pairs(6, CPU)
    assert all(unordered_pairs(size, CPU).num_nodes == size for size in range(2, 40))
    assert unordered_pairs(6, CPU) is first


def test_pairs_of_the_batch_graph_are_those_of_any_graph() -> None:
    edges = complete_edges(5, torch.device("cpu"))
    count, known = pairs_of_edges(edges, 5)
    same_count, found = pairs_of_edges(edges.clone(), 5)
    assert count == same_count == 15
    assert torch.equal(known, found)
    count, found = pairs_of_edges(torch.tensor([[0, 2, 1, 2], [2, 0, 2, 2]]), 3)
    assert count == 3
    assert found.tolist() == [0, 0, 1, 2]


def test_separated_pairs_have_a_row_for_each_direction() -> None:
    differs = torch.zeros(SIZE, SIZE, dtype=torch.bool)
    for i, j in [(0, 2), (1, 4), (3, 3)]:
        differs[i, j] = differs[j, i] = True
    whole = unordered_pairs(SIZE, CPU)
    pairs, source = whole.separate(differs)
    ends = list(zip(pairs.row.tolist(), pairs.col.tolist(), strict=True))
    assert ends == [*PAIRS, (2, 0), (4, 1)]
    assert [PAIRS[number] for number in source] == [*PAIRS, (0, 2), (1, 4)]
    single = [i == j or (i, j) in [(0, 2), (1, 4), (2, 0), (4, 1)] for i, j in ends]
    assert pairs.weight.tolist() == [1 if one else 2 for one in single]
    assert pairs.total == len(PAIRS)
    for i in range(SIZE):
        for j in range(SIZE):
            own = (i, j) if (i, j) in ends else (j, i)
            assert ends[int(pairs.index[i, j])] == own
    assert whole.index.equal(whole.index.t())
