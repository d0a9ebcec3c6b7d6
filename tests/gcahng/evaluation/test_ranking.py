import faiss
import pytest
import torch

from gcahng.evaluation.ranking import ENGINES, Ranking, rankable, ranked_by, unit_rows


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


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("make", [clusters, coarse])
def test_ranking_is_by_exact_similarity_then_index(make, engine):
    embeddings, _ = make(count=250)
    units = unit_rows(embeddings)
    order = (units @ units.T).sort(dim=1, descending=True, stable=True)
    for k in (1, 5, 60, 249, 250):
        similarities, indices = Ranking(embeddings, engine).top(embeddings, k)
        assert torch.equal(indices, order.indices[:, :k])
        torch.testing.assert_close(similarities, order.values[:, :k], atol=1e-6, rtol=0)


def test_similarities_do_not_depend_on_the_order_of_summation():
    units = unit_rows(torch.randn(50, 333))
    shuffled = units[:, torch.randperm(333)]
    assert torch.equal(units @ units.T, shuffled @ shuffled.T)
    assert (units.norm(dim=1) - 1).abs().max() < 1e-6
    assert torch.equal(units.float().double(), units)


def test_faiss_searches_on_gpus_where_it_has_some(monkeypatch):
    calls = []

    def to_all_gpus(index):
        class OnGpus:
            def search(self, queries, count):
                calls.append(count)
                return index.search(queries, count)

        return OnGpus()

    embeddings, _ = clusters(count=3000, width=4)
    expected = Ranking(embeddings, "torch").top(embeddings[:5], 20)
    assert ranked_by("faiss", torch.device("cpu")) == "faiss on the CPU"
    monkeypatch.setattr(faiss, "get_num_gpus", lambda: 2, raising=False)
    monkeypatch.setattr(faiss, "index_cpu_to_all_gpus", to_all_gpus, raising=False)
    assert ranked_by("faiss", torch.device("cpu")) == "faiss on 2 GPUs"
    ranking = Ranking(embeddings, "faiss")
    assert torch.equal(ranking.top(embeddings[:5], 20)[1], expected[1])
    assert calls == [30]
    # More neighbours than an index on a GPU returns come from the CPU.
    assert ranking.top(embeddings[:2], 2500)[1].shape == (2, 2500)
    assert calls == [30]


def test_what_ranks_is_described_by_device():
    assert ranked_by("torch", torch.device("cuda", 1)) == "torch on the GPU"
    assert ranked_by("torch", torch.device("cpu")) == "torch on the CPU"
    assert rankable(torch.zeros(2, 3)).device.type == "cpu"
