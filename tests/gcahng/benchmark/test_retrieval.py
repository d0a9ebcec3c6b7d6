import csv
from pathlib import Path

import pytest
import torch
from rich.console import Console

from gcahng.benchmark import retrieval
from gcahng.benchmark.drawn_vectors import draw_vectors
from gcahng.benchmark.retrieval import LOOP, PRODUCTS, per_query_loop, run_retrieval
from gcahng.evaluation.retrieval import retrieval_metrics


def test_rows_and_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(retrieval, "MANY", 200)
    before = torch.get_num_threads()
    rows = run_retrieval("300,200", 64, 2, 1, tmp_path, Console(width=200))
    assert torch.get_num_threads() == before
    assert [row["runs"] for row in rows if row["method"] == LOOP] == [2, 1]
    for count in (200, 300):
        found = {row["method"]: row for row in rows if row["embeddings"] == count}
        assert {LOOP, PRODUCTS, "gcahng, torch", "gcahng, faiss"} <= found.keys()
        assert found[LOOP]["speedup"] == found[PRODUCTS]["products"] == 1
        figures = [float(row["map@r"]) for row in found.values() if row["map@r"]]
        assert max(figures) - min(figures) < 1e-5
    assert "Retrieval metrics" in capsys.readouterr().out
    with (tmp_path / "retrieval.csv").open(encoding="utf-8", newline="") as file:
        assert [row["method"] for row in csv.DictReader(file)] == [row["method"] for row in rows]
    assert "per-query loop" in (tmp_path / "retrieval.md").read_text(encoding="utf-8")


def test_the_loop_computes_the_same_metric() -> None:
    embeddings, labels = draw_vectors(400, 32, 2.0), torch.arange(400) % 8
    expected = retrieval_metrics(embeddings, labels)["map@r"]
    assert 0.1 < expected < 0.9
    assert per_query_loop(embeddings, labels) == pytest.approx(expected, abs=1e-5)
