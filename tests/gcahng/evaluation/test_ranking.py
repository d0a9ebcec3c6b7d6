import faiss
import pytest
import torch

from gcahng.evaluation.ranking import ENGINES, GRID, Ranking, ranked_by, unit_rows


def clusters(count=120, classes=12, width=16, noise=0.8, seed=0):
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(classes, (count,), generator=generator)
    centres = torch.randn(classes, width, generator=generator)
    return centres[labels] + noise * torch.randn(count, width, generator=generator), labels


def coarse(count=300, width=3, classes=9, seed=0):
    """Small integer vectors, with many duplicates and equal similarities."""
    generator = torch.Generator().manual_seed(seed)
    embeddings = torch.randint(-1, 2, (count, width), generator=generator).float()
    return embeddings, torch.randint(classes, (count,), generator=generator)


def exact_order(queries, gallery):
    """The ranking by its definition: every similarity in float64, a stable sort."""
    return (queries.double() @ gallery.double().T).sort(dim=1, descending=True, stable=True)


def near_ties(count=4000, width=96, seed=0):
    """Unit rows whose similarities to the queries differ by less than float32 resolves.

    The rows are one vector with two components exchanged, where the queries' components differ by
    1 or 2 steps of the grid.
    """
    generator = torch.Generator().manual_seed(seed)
    queries = unit_rows(torch.randn(1, width, generator=generator) / 4 + 1)
    steps = torch.randint(0, 3, (30, width), generator=generator) / GRID
    queries = queries.mean().mul(GRID).round().div(GRID) + steps
    rows = unit_rows(torch.randn(1, width, generator=generator) + 1).repeat(count, 1)
    for row in rows:
        i, j = torch.randint(width, (2,), generator=generator).tolist()
        row[[i, j]] = row[[j, i]].clone()
    return queries, rows


def difficult_rows(count=4000, width=8, seed=0):
    """Duplicates, almost duplicates, zero rows and opposite rows."""
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randn(count, width, generator=generator)
    part = count // 5
    rows[part : 2 * part] = rows[:part] * 3
    rows[2 * part : 3 * part] = rows[:part] + 1e-7 * torch.randn(part, width, generator=generator)
    rows[3 * part : 3 * part + 7] = 0
    rows[-part:] = -rows[:part]
    return rows[torch.randperm(count, generator=generator)]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("make", [clusters, coarse])
def test_ranking_is_by_exact_similarity_then_index(make, engine):
    units = unit_rows(make(count=2500)[0])
    order = exact_order(units, units)
    ranked = Ranking(units, engine)
    for k, some in ((1, units), (60, units), (2499, units[:20]), (2500, units[:20])):
        indices = ranked.nearest(some, k)
        assert torch.equal(indices, order.indices[: len(some), :k])
        assert torch.equal(ranked.similarities(some, indices), order.values[: len(some), :k])


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("width", [1, 7, 512, 2048])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_difficult_rows_of_any_width(width, dtype, engine):
    units = unit_rows(difficult_rows(width=width).to(dtype))
    queries, ranked = units[:70], Ranking(units, engine)
    order = exact_order(queries, units).indices
    for k in (1, 20, 150):
        assert torch.equal(ranked.nearest(queries, k), order[:, :k])


@pytest.mark.parametrize("engine", ENGINES)
def test_ties_below_the_resolution_of_float32_are_settled(engine):
    queries, rows = near_ties()
    order = exact_order(queries, rows)
    gaps = order.values[:, :-1] - order.values[:, 1:]
    assert 0 < gaps[gaps > 0].min() < gaps.max() < 2**-18
    for k in (1, 10, 100):
        assert torch.equal(Ranking(rows, engine).nearest(queries, k), order.indices[:, :k])


def test_reduced_precision_and_autocast_do_not_change_the_ranking():
    units = unit_rows(clusters(count=300, width=512)[0])
    order = exact_order(units, units).indices
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        with torch.autocast("cpu", torch.bfloat16):
            found = Ranking(units).nearest(units, 3)
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision(before)
    assert torch.equal(found, order[:, :3])


def test_faiss_searches_on_gpus_where_it_has_some(monkeypatch: pytest.MonkeyPatch) -> None:
    moved = []
    assert ranked_by("faiss", torch.device("cpu")) == "faiss on the CPU"
    monkeypatch.setattr(faiss, "get_num_gpus", lambda: 2, raising=False)
    monkeypatch.setattr(
        faiss, "index_cpu_to_all_gpus", lambda index: moved.append(index) or index, raising=False
    )
    assert ranked_by("faiss", torch.device("cpu")) == "faiss on the GPU"
    Ranking(unit_rows(torch.eye(4)), "faiss")
    assert len(moved) == 1
