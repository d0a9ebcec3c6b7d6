"""Write a resolved experiment with the origin of every value."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gcahng.config.layers import EXPERIMENTS, OVERRIDE, KeyPath, Layers
from gcahng.config.plain_yaml import flow_entry
from gcahng.config.sections import ExperimentConfig

# Comments are aligned beside lines that are not longer.
WIDEST = 60


def dump_with_origins(
    config: ExperimentConfig, layers: Layers, completed: ExperimentConfig | None = None
) -> str:
    """Return a resolved experiment as YAML, with the origin of each value as a comment.

    Args:
        config: The experiment, as loaded.
        layers: What it was loaded from.
        completed: The same experiment with the image settings of its backbone; default: none.

    Example:
        >>> from gcahng.config import load_with_layers
        >>> print(dump_with_origins(*load_with_layers("digits", ["seed=3"])))
        name: digits...# name of the file
        seed: 3...# command line
        output: runs...# default
        data:
          name: digits...# digits.yaml, packaged
        ...
    """
    lines = list(_lines((completed or config).model_dump(), (), config.model_dump(), layers))
    width = max(len(text) for text, _ in lines if len(text) <= WIDEST)
    return "".join(
        f"{text:{width}}  # {origin}\n" if origin else f"{text}\n" for text, origin in lines
    )


def _lines(
    values: dict[str, Any], outer: KeyPath, loaded: dict[str, Any], layers: Layers
) -> Iterator[tuple[str, str]]:
    """Yield the lines of a section and the origins of their values; none for a mapping."""
    indent = "  " * len(outer)
    for key, value in values.items():
        path, missing = (*outer, key), object()
        if isinstance(value, dict) and value:
            inner = loaded.get(key, {})
            yield f"{indent}{flow_entry(key)}", ""
            yield from _lines(value, path, inner, layers)
        else:
            filled = loaded.get(key, missing) != value
            origin = "expected by the backbone" if filled else _origin(path, layers)
            yield f"{indent}{flow_entry(key, value)}", origin


def _origin(path: KeyPath, layers: Layers) -> str:
    """Say where one value is from."""
    if path not in layers.origins:
        return "name of the file" if path == ("name",) else "default"
    values: Any = layers.values
    for key in path:
        # Arguments of another component have an origin, but are gone.
        if not isinstance(values, dict) or key not in values:
            return "default"
        values = values[key]
    origin = layers.origins[path]
    file = Path(origin).resolve()
    if file.is_relative_to(EXPERIMENTS):
        return f"{file.relative_to(EXPERIMENTS).as_posix()}, packaged"
    return "command line" if origin == OVERRIDE else origin
