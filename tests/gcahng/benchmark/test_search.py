import csv
from pathlib import Path

import pytest
import torch
from rich.console import Console

from gcahng.benchmark.drawn_vectors import draw_vectors
from gcahng.benchmark.search import run_search

REPOSITORY = Path(__file__).parents[3]


def test_rows_and_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(REPOSITORY)
    rows = run_search("600,300", 16, 1, tmp_path, Console(width=200))
    assert [row["vectors"] for row in rows] == [300, 600]
    assert all(row["recall"] > 0.8 for row in rows)
    assert all(row["exact_ms"] > 0 and row["disk_mib"] > 0 for row in rows)
    assert "Searching a store of pictures" in capsys.readouterr().out
    with (tmp_path / "search.csv").open(encoding="utf-8", newline="") as file:
        assert [row["vectors"] for row in csv.DictReader(file)] == ["300", "600"]
    assert "LanceDB" in (tmp_path / "search.md").read_text(encoding="utf-8")


def test_drawn_vectors_form_classes() -> None:
    vectors = draw_vectors(500, 64)
    torch.testing.assert_close(vectors.norm(dim=1), torch.ones(500))
    similarity = vectors @ vectors.T
    same = torch.arange(500) % 10 == (torch.arange(500) % 10)[:, None]
    assert similarity[same].mean() > 0.4
    assert abs(similarity[~same].mean()) < 0.1
