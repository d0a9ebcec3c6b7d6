"""Search for the best settings of experiments with Optuna, on any number of machines."""

from gcahng.tuning.study import Study, read_study
from gcahng.tuning.work import show_study, tune

__all__ = ["Study", "read_study", "show_study", "tune"]
