"""What a cell of a grid changes in the reference, as far as it has an effect."""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from gcahng.builders.generator_settings import SETTINGS, settings_with_effect
from gcahng.config import ExperimentConfig
from gcahng.config.errors import show
from gcahng.config.sections import (
    ClassifierOptimConfig,
    GeneratorConfig,
    GraphOptimConfig,
    LossConfig,
    QuirksConfig,
)

# Start of a setting's key → the part of the experiment that must have parameters for an effect.
OPTIMIZED = {"loss.lr": "loss", "optim.graph.": "graph", "optim.classifier.": "classifier"}


def changed_settings(
    config: ExperimentConfig,
    trains: Collection[str],
    reference: ExperimentConfig,
    reference_trains: Collection[str],
) -> list[str]:
    """List the settings that differ from the reference's, as `key=value`.

    A setting without effect in the reference, such as one of a generator that the reference does
    not have, is listed unless it has its default; the generator's name is always listed.

    Example:
        >>> from gcahng.config import load_config
        >>> alone = load_config("digits", ["generator=null"])
        >>> config = load_config("digits", ["generator.name=unmoved", "loss.args.temperature=0.5"])
        >>> changed_settings(config, (), alone, ())
        ['loss.args.temperature=0.5', "generator.name='unmoved'"]
    """
    ours = _with_effect(config, trains)
    theirs = _with_effect(reference, reference_trains)
    defaults = _defaults()
    return [
        f"{key}={show(value)}"
        for key, value in ours.items()
        if (
            value != theirs[key] if key in theirs else key not in defaults or value != defaults[key]
        )
    ]


def _with_effect(config: ExperimentConfig, trains: Collection[str]) -> dict[str, Any]:
    """The values of all settings that have an effect, by their dotted keys."""
    known = settings_with_effect(config)

    def has_effect(key: str) -> bool:
        if key in SETTINGS.values():
            return key in known
        parts = [part for start, part in OPTIMIZED.items() if key.startswith(start)]
        return all(part in trains for part in parts)

    return {key: value for key, value in _flat(config.model_dump()) if has_effect(key)}


def _defaults() -> dict[str, Any]:
    """Defaults of the settings that only some experiments use."""
    sections = {
        "generator.": GeneratorConfig(),
        "quirks.": QuirksConfig(),
        "loss.": LossConfig(),
        "optim.graph.": GraphOptimConfig(),
        "optim.classifier.": ClassifierOptimConfig(),
    }
    found: dict[str, Any] = {}
    for prefix, section in sections.items():
        found.update(_flat(section.model_dump(), prefix))
    # A reader has to see that there is a generator, even if it is the default one.
    del found["generator.name"]
    return found


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the values of nested mappings by their dotted keys."""
    for key, value in values.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
