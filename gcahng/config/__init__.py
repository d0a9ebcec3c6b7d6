"""Experiments as YAML files: inheritance, overrides, and one clear message per error."""

from gcahng.config.experiment import (
    ExperimentConfig,
    changed_experiment,
    data_root,
    default_root,
    differing_keys,
    dump_config,
    load_config,
    parse_config,
    with_data_root,
)
from gcahng.config.layers import parse_settings

__all__ = [
    "ExperimentConfig",
    "changed_experiment",
    "data_root",
    "default_root",
    "differing_keys",
    "dump_config",
    "load_config",
    "parse_config",
    "parse_settings",
    "with_data_root",
]
