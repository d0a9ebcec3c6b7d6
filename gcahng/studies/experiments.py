"""Experiments of a file that describes several: settings merged into a base, and checked."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from typing import TypeVar

from pydantic import Field

from gcahng.builders.settings import adopt_image_settings, check_component_names
from gcahng.config import ExperimentConfig
from gcahng.config.experiment import flat_settings
from gcahng.config.layers import (
    EXPERIMENTS,
    Layers,
    find_config,
    load_layers,
    parse_mapping,
    put,
    read_text,
    validate,
)
from gcahng.config.sections import Args, Section, Seed
from gcahng.errors import blame_setting, did_you_mean, show
from gcahng.models import BACKBONES

Model = TypeVar("Model", bound=Section)


class SharedKeys(Section):
    """Keys of a grid and of a study; settings are nested mappings or have dotted keys."""

    title: str | None = None
    """Heading of the report; null: the file's name."""
    base: str
    """The experiment: a path relative to the file, or the name of a packaged one."""
    first_seed: Seed = 0
    """The seeds are consecutive from this one."""
    settings: Args = Field(default_factory=dict)
    """Settings of every cell, or of every trial."""


def read_file(
    path: str | Path, packaged: str, kind: str, model: type[Model]
) -> tuple[Path, str, Model]:
    """Read a grid or a study: the file, its name as a user would write it, and its content."""
    try:
        found = find_config(path)
    except FileNotFoundError:
        names = [f"{packaged}/{f.stem}" for f in sorted((EXPERIMENTS / packaged).glob("*.yaml"))]
        hint = did_you_mean(str(path), names)
        raise FileNotFoundError(
            f"no {kind} file {str(path)!r}{hint}; packaged: {', '.join(names)}"
        ) from None
    source = str(found)
    if found.is_relative_to(Path.cwd()):
        source = str(found.relative_to(Path.cwd()))
    elif found.is_relative_to(EXPERIMENTS):
        source = found.relative_to(EXPERIMENTS).with_suffix("").as_posix()
    layers = Layers(source)
    layers.add(parse_mapping(read_text(found, source), source), source)
    for key, verb in {"data": "train", "cells": "ablate", "search": "tune"}.items():
        if key in layers.values and key not in model.model_fields:
            raise ValueError(f"{source} is not a {kind}: give it to gcahng {verb}")
    return found, source, validate(model, layers)


def find_base(base: str, file: Path, source: str) -> Path:
    """Find the experiment that a file names: beside it, or packaged."""
    beside = file.parent / base
    if beside.is_file():
        return beside
    try:
        return find_config(base)
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{source}: base: {error}") from None


def merge_settings(
    base: Path, parts: Sequence[tuple[str, Args]], name: str, seed: int, source: str
) -> ExperimentConfig:
    """Merge settings into a base experiment, and check values and names; see `complete`."""
    layers, _ = load_layers(base)
    for place, settings in parts:
        for key in {"name", "seed"} & settings.keys():
            raise ValueError(f"{source}: {place}.{key}: each run is given its {key}")
        layers.add(nested(settings, layers.values, f"{source}: {place}"), source)
    layers.add({"name": name, "seed": seed}, source)
    config = validate(ExperimentConfig, layers)
    check_component_names(config)
    return config


def complete(config: ExperimentConfig) -> ExperimentConfig:
    """Try the parts that need no data, as if a batch had all classes; adopt image settings."""
    # Only now, since it imports torch: of several experiments, all are merged before.
    from gcahng.builders.networks import build_generator, build_loss

    with blame_setting("embedder.backbone.name"):
        BACKBONES.find(config.embedder.backbone.name)
    build_loss(config, config.batch.classes)
    build_generator(config, config.batch.classes)
    return adopt_image_settings(config)


def check_held_out(config: ExperimentConfig, what: str) -> None:
    """Raise unless validation classes choose the best epoch."""
    if config.selects_on_test:
        raise ValueError(
            f"{what} needs classes held out: data.validation above 0 and quirks.select as "
            "'corrected'"
        )


def nested(settings: Args, below: Args, place: str) -> Args:
    """Turn dotted keys into nested mappings."""
    mapping: Args = {}
    # Sections first: one after a key of its own would replace what the key has set.
    for key, value in sorted(settings.items(), key=lambda item: item[0].count(".")):
        put(mapping, tuple(key.split(".")), deepcopy(value), below, f"{place}: {key}")
    return mapping


@contextmanager
def named_errors(name: str) -> Iterator[None]:
    """Say which of several experiments an error within the block is of."""
    try:
        yield
    except (FileNotFoundError, ValueError, ImportError) as error:
        raise ValueError(f"{name}: {error}") from None


def changed_settings(config: ExperimentConfig, reference: ExperimentConfig) -> list[str]:
    """List the settings that differ from the reference's, as `key=value`."""
    ours, theirs = (dict(flat_settings(it.model_dump())) for it in (config, reference))
    missing = object()
    return [f"{key}={show(v)}" for key, v in ours.items() if v != theirs.get(key, missing)]
