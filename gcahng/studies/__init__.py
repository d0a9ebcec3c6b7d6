"""Experiments side by side: grids of fixed cells, and studies whose cells Optuna draws."""

from typing import TYPE_CHECKING

from gcahng.registry import imported_on_use

if TYPE_CHECKING:
    from gcahng.studies.ablate import run_grid, show_grid
    from gcahng.studies.grid import Cell, Grid, read_grid
    from gcahng.studies.report import report_grid
else:
    __getattr__ = imported_on_use(__name__)

__all__ = ["Cell", "Grid", "read_grid", "report_grid", "run_grid", "show_grid"]
