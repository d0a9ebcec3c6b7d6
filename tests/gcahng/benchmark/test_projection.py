import pytest

from gcahng.benchmark.projection import CLUSTERS, assumptions, project, volumes
from gcahng.benchmark.workloads import SHAPES, matmul_flops, node_flops
from gcahng.graph.dense.pairs import rows_sent_in_step


def test_volumes_follow_from_those_of_two_processes() -> None:
    sent = {"sums": 100.0, "coefficients": 512.0 * rows_sent_in_step(81, 2)}
    found = volumes(sent, measured=2, processes=8, nodes=81)
    assert found["sums"] == pytest.approx(100 * 2 * 7 / 8)
    assert found["coefficients"] == pytest.approx(512 * rows_sent_in_step(81, 8))
    assert set(volumes(sent, 2, 1, 81).values()) == {0.0}


def test_projection_splits_pairs_and_repeats_nodes() -> None:
    shape = SHAPES["A"]
    one, eight, many = project("A", shape, {"sums": 1e6}, exchanges=10, measured=2)
    rate = CLUSTERS[0].flops
    assert one["step"] == pytest.approx(1e3 * matmul_flops(shape) / rate)
    assert eight["pairs"] == pytest.approx(one["pairs"] / 8)
    assert many["nodes"] == one["nodes"] == pytest.approx(1e3 * node_flops(shape) / rate)
    cluster = CLUSTERS[1]
    expected = 1.75e6 / cluster.bandwidth + 10 * cluster.latency
    assert eight["exchange"] == pytest.approx(1e3 * expected)
    assert eight["speedup"] == pytest.approx(one["step"] / eight["step"])


def test_assumptions_are_stated() -> None:
    text = assumptions()
    for words in ("15 TFLOP/s", "8 GPUs: one machine with NVLink, 150 GB/s, 20 µs", "20 GB/s"):
        assert words in text
