"""Experiments as YAML files: inheritance, overrides, and one clear message per error."""

from gcahng.config.experiment import (
    changed_experiment,
    data_root,
    default_root,
    differing_keys,
    dump_config,
    flat_settings,
    load_config,
    parse_config,
    read_config,
    whitened,
    with_data_root,
    with_runtime_settings,
)
from gcahng.config.layers import parse_settings
from gcahng.config.sections import ExperimentConfig

__all__ = [
    "ExperimentConfig",
    "changed_experiment",
    "data_root",
    "default_root",
    "differing_keys",
    "dump_config",
    "flat_settings",
    "load_config",
    "parse_config",
    "parse_settings",
    "read_config",
    "whitened",
    "with_data_root",
    "with_runtime_settings",
]
