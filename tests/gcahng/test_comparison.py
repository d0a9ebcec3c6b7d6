"""Means and paired differences against figures worked out by hand."""

import csv
from pathlib import Path

import pytest

from gcahng.comparison import csv_text, span, write_comparison
from gcahng.runs.record import RunRecord, epochs_for


def _record(name: str, recall: float, seconds: float = 10.0, epochs: int = 5) -> RunRecord:
    figures = {"recall@1": recall, "map@r": recall / 2}
    results = {f"{which}/{k}": v for which in ("last", "best") for k, v in figures.items()}
    results |= {"seconds": seconds, "epochs": epochs, "best_epoch": 1, "peak_memory_mib": 1.0}
    history = [{"seconds": seconds * (i + 1) / epochs} for i in range(epochs)]
    return RunRecord(name, history, results, "")


def test_differences_are_paired(tmp_path: Path) -> None:
    seeds = [
        {"a": _record("A", 0.50), "b": _record("B", 0.52)},
        {"a": _record("A", 0.60), "b": _record("B", 0.64)},
    ]
    target = write_comparison(seeds, tmp_path / "table", ["A note."])
    text = target.read_text(encoding="utf-8")
    assert "| B | 3.00 ± 1.41 | 3.0 | +2.00, +4.00 | 1.50 ± 0.71 | 3.0 | +1.00, +2.00 |" in text
    assert "| A | 55.00 ± 7.07 | 27.50 ± 3.54 | 10.0 | 5 |" in text
    assert "A note." in text
    with (tmp_path / "table.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 8
    assert rows[-1]["recipe"] == "b"
    assert float(rows[-1]["recall@1"]) == 0.64


def test_one_seed_has_no_spread(tmp_path: Path) -> None:
    seeds = [{"a": _record("A", 0.5), "b": _record("B", 0.75)}]
    text = write_comparison(seeds, tmp_path / "table", []).read_text(encoding="utf-8")
    assert "| B | 25.00 | – | +25.00 |" in text


@pytest.mark.parametrize(("seconds", "epochs"), [(30.0, 15), (1.0, 1)])
def test_equal_time(seconds: float, epochs: int) -> None:
    target, measured = _record("A", 0.5, seconds, 10), _record("B", 0.5, 20.0, 10)
    assert epochs_for(target, measured) == epochs


def test_a_span_of_one_value_is_that_value() -> None:
    assert span([10, 10]) == "10"
    assert span([28, 23, 25]) == "23–28"


def test_csv_has_a_column_for_everything() -> None:
    assert csv_text([{"a": 1}, {"a": 2, "b": "x"}]) == "a,b\n1,\n2,x\n"
