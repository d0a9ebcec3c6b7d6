"""Experiments as YAML: inheritance, overrides, and one clear sentence for each mistake."""

from gcahng.config.experiment import (
    ExperimentConfig,
    data_root,
    differing_keys,
    dump_config,
    load_config,
    parse_config,
)

__all__ = [
    "ExperimentConfig",
    "data_root",
    "differing_keys",
    "dump_config",
    "load_config",
    "parse_config",
]
