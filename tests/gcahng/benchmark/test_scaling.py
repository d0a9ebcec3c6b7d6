import csv
from pathlib import Path

import pytest
from PIL import Image
from rich.console import Console

from gcahng.benchmark.memory_formula import Formula, replicated_bytes, walls
from gcahng.benchmark.scaling import run_scaling

REPOSITORY = Path(__file__).parents[3]


def test_rows_files_and_plot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(REPOSITORY)
    monkeypatch.setattr("gcahng.benchmark.scaling.LARGE_HIDDEN", 4 * 16 * 20 * 21 // 2)
    rows = run_scaling("8,21", None, 16, 1, 1, tmp_path, Console(width=200))
    assert [(row["nodes"], row["batch"], row["memory"]) for row in rows] == [
        (8, "2 × 4", "auto"),
        (8, "2 × 4", "low"),
        (21, "7 × 3", "auto, low"),
    ]
    assert all(row["seconds"] > 0 and row["runs"] == 1 for row in rows)
    assert "21 nodes, 1 process(es), memory auto, low: " in capsys.readouterr().out
    text = (tmp_path / "scaling.md").read_text(encoding="utf-8")
    assert "bytes × B(B + 1)/2 pairs" in text
    assert "(scaling.png)" in text
    with (tmp_path / "scaling.csv").open(encoding="utf-8", newline="") as file:
        assert [row["nodes"] for row in csv.DictReader(file)] == ["8", "8", "21"]
    with Image.open(tmp_path / "scaling.png") as picture:
        assert picture.format == "PNG"


@pytest.mark.parametrize(
    ("nodes", "dim", "sentence"),
    [
        ("7", 16, "--nodes: 7 nodes are not 2, 3 or 4 samples of several classes"),
        ("3", 16, "--nodes: 3 nodes are not 2, 3 or 4 samples of several classes"),
        ("0", 16, "--nodes: expected whole numbers from 1, as in 1,2, got '0'"),
        ("9", 18, "--dim: expected a multiple of 4, the number of heads, got 18"),
    ],
)
def test_senseless_sizes_are_refused(nodes: str, dim: int, sentence: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        run_scaling(nodes, None, dim, 1, 1, None, Console())
    assert str(caught.value) == sentence


def test_formula_is_found_again_and_solved() -> None:
    true = Formula(pair=20_000.0, node=50_000.0)
    fitted = Formula.fit([(nodes, true.bytes(nodes)) for nodes in (81, 324, 1024)])
    assert fitted == pytest.approx(true)
    most = true.largest(24 * 2**30)
    assert true.bytes(most) <= 24 * 2**30 < true.bytes(most + 1)


def test_projected_walls_lie_beyond_the_fitted_ones() -> None:
    formulas = {1: Formula(20_000.0, 50_000.0), 2: Formula(12_000.0, 50_000.0)}
    rows = walls(formulas, layers=2, heads=4)
    assert [(row["processes"], row["source"]) for row in rows] == [
        (1, "fitted"),
        (2, "fitted"),
        (8, "projected"),
        (64, "projected"),
    ]
    sizes = [row["80 GB"] for row in rows]
    assert sizes == sorted(sizes)
    assert rows[-1]["pair"] > replicated_bytes(layers=2, heads=4)
