"""Experiments as YAML files: inheritance, overrides, and one clear message per error."""

from gcahng.config.experiment import dump_config, load_config
from gcahng.config.sections import ExperimentConfig

__all__ = ["ExperimentConfig", "dump_config", "load_config"]
