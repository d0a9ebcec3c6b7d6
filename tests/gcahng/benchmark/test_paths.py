import csv
from functools import partial
from pathlib import Path

import pytest
import torch
from rich.console import Console
from torch.utils.flop_counter import FlopCounterMode

from gcahng.benchmark import paths
from gcahng.benchmark.measure import peak_mib, plain_products
from gcahng.benchmark.paths import largest_difference, run_benchmark
from gcahng.benchmark.workloads import (
    SHAPES,
    STEPS,
    VARIANTS,
    Shape,
    hard_negatives,
    matmul_flops,
)

TINY = Shape(3, 2, 8, 1, 2)
CPU = torch.device("cpu")


def test_rows_files_and_restored_threads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(paths, "plain_products", partial(plain_products, size=64, count=2))
    monkeypatch.setitem(SHAPES, "tiny", TINY)
    monkeypatch.setitem(SHAPES, "bare", Shape(3, 2, 8, 2, 2, reference=False))
    before = torch.get_num_threads()
    rows = run_benchmark(["tiny", "bare"], 1, 1, tmp_path, Console(width=200))
    assert torch.get_num_threads() == before
    every = [v.title for v in (*VARIANTS, *STEPS)]
    assert [row["variant"] for row in rows if row["shape"] == "tiny"] == every
    dense = [v.title for v in (*VARIANTS, *STEPS) if v.path == "dense"]
    bare = [row for row in rows if row["shape"] == "bare"]
    assert [row["variant"] for row in bare] == dense
    assert all("speedup" not in row for row in bare)
    for row in rows[: len(every)]:
        if "message passing" in row["variant"]:
            assert row["speedup"] == 1
        assert row["seconds"] > 0
        assert row["cpu"] > 0
        assert row["speedup"] > 0
    assert "dense, low" in capsys.readouterr().out
    text = (tmp_path / "benchmark.md").read_text(encoding="utf-8")
    assert torch.__version__ in text
    assert "inexact" in text
    with (tmp_path / "benchmark.csv").open(encoding="utf-8", newline="") as file:
        assert [row["variant"] for row in csv.DictReader(file)] == every + dense


def test_unknown_shape_raises_and_lists_the_choices() -> None:
    with pytest.raises(ValueError, match="A, B, C"):
        run_benchmark(["Z"], 1, 1, None, Console())


def test_exact_variants_agree() -> None:
    assert largest_difference() < 1e-12


@pytest.mark.parametrize("layers", [1, 2])
def test_counted_flops_are_those_of_the_balanced_path(
    layers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Torch's counter knows no products in place.
    for module in ("edge_update", "pair_functions"):
        name = f"gcahng.graph.dense.{module}.add_product"
        monkeypatch.setattr(name, lambda total, left, right: total.add_(left @ right))
    shape = Shape(8, 3, 64, layers, 2)
    wanted = ("off", "balanced")
    dense = next(v for v in VARIANTS if (v.dropout, v.memory) == wanted)
    run = hard_negatives(shape, dense, CPU)
    with FlopCounterMode(display=False) as counter:
        run()
    assert matmul_flops(shape) == pytest.approx(counter.get_total_flops(), rel=0.06)
    assert matmul_flops(shape) <= counter.get_total_flops()


def test_plain_products_are_counted() -> None:
    run, flops = plain_products(CPU, size=8, count=3)
    with FlopCounterMode(display=False) as counter:
        run()
    assert counter.get_total_flops() == flops == 2 * 8**3 * 3


def test_peak_counts_what_is_alive_at_once() -> None:
    def work() -> None:
        for _ in range(3):
            a = torch.zeros(2**18)
            b = torch.zeros(2**18)
            del a, b

    assert peak_mib(work, CPU) == pytest.approx(2, abs=0.01)


@pytest.mark.parametrize("dropout", ["off", "independent"])
def test_low_memory_is_low(dropout: str) -> None:
    shape = Shape(10, 3, 64, 2, 2)
    variants = [v for v in VARIANTS if v.dropout == dropout and not v.bfloat16]
    peaks = [peak_mib(hard_negatives(shape, v, CPU), CPU) for v in variants]
    sparse, balanced, low = peaks
    assert low < balanced < sparse
