"""Experiments side by side: grids of fixed cells, and studies whose cells Optuna draws."""

from gcahng.studies.ablate import run_grid, show_grid
from gcahng.studies.grid import Cell, Grid, read_grid
from gcahng.studies.report import report_grid

__all__ = ["Cell", "Grid", "read_grid", "report_grid", "run_grid", "show_grid"]
