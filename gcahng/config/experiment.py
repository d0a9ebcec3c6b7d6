"""The configuration of an experiment: reading, validating, comparing and writing it."""

import os
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from gcahng.config.layers import Layers, load_layers, parse_mapping, read_text, validate
from gcahng.config.plain_yaml import to_yaml
from gcahng.config.sections import ExperimentConfig
from gcahng.files import refuse_address


def load_config(path: str | Path, overrides: Iterable[str] = ()) -> ExperimentConfig:
    """Read and validate an experiment.

    Args:
        path: A YAML file, or the name of a packaged experiment such as `quickstart`.
        overrides: Settings as `key.path=value`, with the value in YAML.

    Raises:
        FileNotFoundError: If the file or one of its bases is missing.
        ValueError: If the configuration is invalid; the message has one line per error.

    Example:
        >>> config = load_config("quickstart", ["optim.embedder.lr=1e-4", "train.epochs=2"])
        >>> config.name, config.optim.embedder.lr, config.train.epochs, config.eval.ks
        ('quickstart', 0.0001, 2, [1, 2, 4, 8])
        >>> load_config("quickstart", ["train.epoch=2"])
        Traceback (most recent call last):
            ...
        ValueError: override: unknown key 'train.epoch' (did you mean 'train.epochs'?); ...
    """
    layers, file = load_layers(path, overrides)
    layers.values.setdefault("name", file.stem)
    return validate(ExperimentConfig, layers)


# A grid reads the experiments of its runs again and again.
@lru_cache(maxsize=256)
def parse_config(text: str, source: str) -> ExperimentConfig:
    """Parse and validate a resolved experiment, as written by `dump_config`.

    `source` is its name in the ValueError of an invalid one.
    """
    layers = Layers(source)
    layers.add(parse_mapping(text, source), source)
    return validate(ExperimentConfig, layers)


def read_config(path: Path) -> ExperimentConfig:
    """Read and validate the resolved experiment in a run folder, as `parse_config`."""
    return parse_config(read_text(path, str(path)), str(path))


def dump_config(config: ExperimentConfig) -> str:
    """Return the resolved experiment as YAML; loading it gives an equal configuration.

    Example:
        >>> config = load_config("digits", ["seed=3"])
        >>> dump_config(config).splitlines()[:2], parse_config(dump_config(config), "") == config
        (['name: digits', 'seed: 3'], True)
    """
    return to_yaml(config.model_dump())


def differing_keys(first: ExperimentConfig, second: ExperimentConfig) -> list[str]:
    """Return the dotted keys in which two experiments differ.

    A mapping that only one of them has is listed as a whole, not key by key.
    """
    return list(_differing(first.model_dump(), second.model_dump()))


def _differing(first: dict[str, Any], second: dict[str, Any], prefix: str = "") -> Iterator[str]:
    for key in {**first, **second}:
        left, right = first.get(key, {}), second.get(key, {})
        if isinstance(left, dict) and isinstance(right, dict):
            yield from _differing(left, right, f"{prefix}{key}.")
        elif left != right:
            yield f"{prefix}{key}"


def flat_settings(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the values of nested mappings with their dotted keys."""
    for key, value in values.items():
        if isinstance(value, dict):
            yield from flat_settings(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


# Where and how a training is computed and kept, but not what it computes (up to rounding).
RUNTIME_SETTINGS = (
    "output",
    "data.root",
    "data.workers",
    "batch.chunk",
    "generator.args.graph.memory",
    "train.loggers",
    "train.save_minutes",
    "eval.engine",
    "fabric.accelerator",
    "fabric.devices",
    "fabric.threads",
    "fabric.deterministic",
    "fabric.channels_last",
    "fabric.compile",
    "fabric.cuda_graphs",
)
# When a training ends early: a run may be continued beyond them.
LIMITS = ("train.max_seconds", "train.patience")


def changed_experiment(
    first: ExperimentConfig, second: ExperimentConfig, ignore_limits: bool = False
) -> list[str]:
    """Return the keys in which two experiments differ, as far as they change the figures.

    The only definition of the same experiment, for runs, grids and studies. `ignore_limits` leaves
    out when a training ends early as well, for a run that is continued.
    """
    ignored = {*RUNTIME_SETTINGS, *(LIMITS if ignore_limits else ())}
    return [key for key in differing_keys(first, second) if key not in ignored]


def with_runtime_settings(config: ExperimentConfig, given: ExperimentConfig) -> ExperimentConfig:
    """Return `config` with the runtime settings and limits of `given`."""
    values, others = config.model_dump(), given.model_dump()
    for path in (*RUNTIME_SETTINGS, *LIMITS):
        values = _with_entry(values, others, path.split("."))
    return ExperimentConfig.model_validate(values)


def _with_entry(values: dict[str, Any], others: dict[str, Any], path: list[str]) -> dict[str, Any]:
    """Return nested values with an entry of others; unchanged if a mapping around it is null."""
    key, *rest = path
    if not rest:
        without = {name: value for name, value in values.items() if name != key}
        return values | {key: others[key]} if key in others else without
    ours, theirs = values.get(key, {}), others.get(key, {})
    if ours is None or theirs is None:
        return values
    inner = _with_entry(ours, theirs, rest)
    return values | {key: inner} if inner or key in values else values


def whitened(config: ExperimentConfig, dim: int) -> ExperimentConfig:
    """Return the settings of a model whose last layer is a `WhiteningHead` of dimension `dim`."""
    return config.changed(embedder={"head": "whitening", "dim": dim, "finish": None})


def with_data_root(config: ExperimentConfig, root: str | Path) -> ExperimentConfig:
    """Return a copy of the experiment with `data.root` replaced."""
    refuse_address(root, "--root")
    # Embedded data sets would create it silently.
    if not Path(root).is_dir():
        raise FileNotFoundError(f"--root: there is no folder '{root}'")
    return config.changed(data={"root": str(root)})


def data_root(config: ExperimentConfig) -> Path:
    """Return the folder that holds all data sets: `data.root`, else `default_root()`."""
    if not config.data.root:
        return default_root()
    refuse_address(config.data.root, "data.root")
    return Path(config.data.root).expanduser()


def default_root() -> Path:
    """Return the default folder of all data sets: `$GCAHNG_DATA`, else `datasets`."""
    return Path(os.environ.get("GCAHNG_DATA") or "datasets").expanduser()
