"""Which cells are told apart from the reference."""

import pytest

from gcahng.studies.run import grid_runs
from gcahng.studies.summary import summarize
from gcahng.studies.verdict import holm, verdict
from tests.gcahng.studies.conftest import HEAD, WriteGrid, finish


def test_holm_by_hand() -> None:
    # Limits 0.05 / 4, / 3, / 2, / 1: 0.03 is above 0.025, so 0.04 is not looked at.
    assert holm({"a": 0.001, "b": 0.03, "c": 0.04, "d": 0.016}) == {"a", "d"}
    assert holm({"a": 0.013, "b": 0.0126, "c": 0.5, "d": 0.5}) == set()
    assert holm({}) == set()


CELLS = {
    # MAP@R beside the reference's, percentage points over four seeds.
    "clear": (5.0, 5.1, 4.9, 5.0),
    "worse": (-3.0, -3.1, -2.9, -3.05),
    "weak": (0.65, 2.0, 0.8, 2.15),
    "none": (1.0, -1.0, 0.5, -0.6),
}


def test_every_cell_is_in_one_sentence(write_grid: WriteGrid) -> None:
    names = "".join(f", {name}: {{}}" for name in CELLS)
    grid = write_grid(HEAD + f"seeds: 4\ncells: {{npair: {{generator: null}}{names}}}\n")
    for run in grid_runs(grid):
        gain = CELLS[run.cell.name][run.seed] if run.cell.name in CELLS else 0.0
        finish(run, 0.5 + 0.01 * run.seed + 2 * gain / 100)
    assert verdict(summarize(grid), "npair", "map@r", "MAP@R") == [
        "MAP@R higher than with 'npair', also after Holm's correction for 4 cells: clear (+5.00).",
        "MAP@R lower than with 'npair', also after Holm's correction for 4 cells: worse (-3.01).",
        "MAP@R higher than with 'npair' by an uncorrected t-test only: weak (+1.40).",
        "MAP@R not significantly different from 'npair': none (-0.02).",
    ]


@pytest.mark.parametrize("seeds", [0, 1])
def test_without_pairs_there_is_nothing_to_say(write_grid: WriteGrid, seeds: int) -> None:
    grid = write_grid()
    for run in grid_runs(grid):
        if run.seed < seeds:
            finish(run, 0.5)
    assert verdict(summarize(grid), "npair", "map@r", "MAP@R") == []
