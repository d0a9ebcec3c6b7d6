"""Grids of experiments over seeds: read from a file, trained in processes, compared in a report."""

from gcahng.ablation.ablate import run_grid, show_grid
from gcahng.ablation.grid import Cell, Grid, read_grid
from gcahng.ablation.report import report_grid

__all__ = ["Cell", "Grid", "read_grid", "report_grid", "run_grid", "show_grid"]
