"""What an experiment changes, compared with the reference of a grid."""

from collections.abc import Iterator, Mapping
from typing import Any

from gcahng.config import ExperimentConfig
from gcahng.errors import show


def changed_settings(config: ExperimentConfig, reference: ExperimentConfig) -> list[str]:
    """List the settings that differ from the reference's, as `key=value`.

    Example:
        >>> from gcahng.config import load_config
        >>> alone = load_config("digits", ["generator=null"])
        >>> config = load_config("digits", ["generator.name=unmoved", "loss.args.temperature=0.5"])
        >>> changed_settings(config, alone)
        ['loss.args.temperature=0.5', "generator.name='unmoved'"]
    """
    ours, theirs = dict(_flat(config.model_dump())), dict(_flat(reference.model_dump()))
    missing = object()
    return [f"{key}={show(v)}" for key, v in ours.items() if v != theirs.get(key, missing)]


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the values of nested mappings by their dotted keys."""
    for key, value in values.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
