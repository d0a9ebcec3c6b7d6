"""The scripts run, on sizes of seconds."""

from pathlib import Path

import pytest
import torch

from tests.benchmarks import gpu, graph, launches, retrieval, startup
from tests.benchmarks.common import CPU, SHAPES, Shape

pytestmark = pytest.mark.slow


def _columns(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines()[0].split(",")


def test_tables_of_the_graph(tmp_path: Path) -> None:
    graph.paths("tiny", 1, 1, tmp_path)
    graph.processes("tiny", 2, 1, 1, tmp_path)
    for name in ("benchmark", "processes"):
        published = Path("docs/results", f"{name}.csv")
        assert _columns(tmp_path / f"{name}.csv") == _columns(published)


def test_tables_of_retrieval(tmp_path: Path) -> None:
    retrieval.main("200", 16, 1, 1, tmp_path)
    published = Path("docs/results/retrieval.csv")
    assert set(_columns(tmp_path / "retrieval.csv")) == set(_columns(published))


def test_a_row_of_the_gpu_table() -> None:
    row = gpu.measure(SHAPES["tiny"], "bfloat16", 1, CPU, size=32)
    assert row["step"] > row["eager"] > 0


def test_launches_of_a_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = ("pass", "as it is", "compiled", "fused", "products and others")
    monkeypatch.setattr(launches, "compiled_launches", lambda shape: [dict.fromkeys(keys, 1)])
    launches.main("tiny", tmp_path)
    rows = (tmp_path / "launches.csv").read_text(encoding="utf-8").splitlines()
    total, *others = ([int(n) for n in row.split(",")[2:]] for row in rows[1:])
    assert total == [sum(column) for column in zip(*others, strict=True)]
    # Most of the launches are found where they belong.
    assert others[-1][1] < total[1] / 3


def test_low_memory_is_low() -> None:
    shape = Shape(10, 3, 64, 2, 2, 20)
    peaks = []
    for settings in ({"path": "sparse"}, {"memory": "balanced"}, {"memory": "low"}):
        run = graph.hard_negatives(shape, settings)
        run()
        peaks.append(graph.tensor_peak_mib(run, torch.device("cpu")))
    assert peaks[2] < peaks[1] < peaks[0]


def test_table_of_the_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = {name: startup.CASES[name] for name in (startup.TORCH, "gcahng list")}
    monkeypatch.setattr(startup, "CASES", kept)
    monkeypatch.setattr(startup, "_prepare", lambda folder: None)
    startup.main(1, tmp_path)
    torch_row, listing = (tmp_path / "startup.csv").read_text().splitlines()[1:]
    assert float(listing.split(",")[2]) < float(torch_row.split(",")[2]) == 1
