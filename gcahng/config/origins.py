"""Write a resolved experiment with the origin of every value."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gcahng.config.layers import EXPERIMENTS, Layers
from gcahng.config.overrides import OVERRIDE
from gcahng.config.plain_yaml import flow_entry
from gcahng.config.sections import ExperimentConfig

# Comments are aligned beside lines that are not longer.
WIDEST = 60
DEFAULT, COMMAND_LINE, FILE_NAME = "default", "command line", "name of the file"
FILLED = "expected by the backbone"

KeyPath = tuple[str, ...]


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
    origins = _Origins(config.model_dump(), layers)
    lines = list(origins.lines((completed or config).model_dump(), ()))
    width = max(len(text) for text, _ in lines if len(text) <= WIDEST)
    return "".join(
        f"{text:{width}}  # {origin}\n" if origin else f"{text}\n" for text, origin in lines
    )


class _Origins:
    """Where the values of an experiment are from."""

    def __init__(self, loaded: dict[str, Any], layers: Layers) -> None:
        self.loaded, self.layers = loaded, layers

    def lines(self, values: dict[str, Any], outer: KeyPath) -> Iterator[tuple[str, str]]:
        """Yield the lines of a section and the origins of their values; none for a mapping."""
        indent = "  " * len(outer)
        for key, value in values.items():
            path = (*outer, key)
            if isinstance(value, dict) and value:
                yield f"{indent}{flow_entry(key)}", ""
                yield from self.lines(value, path)
            else:
                yield f"{indent}{flow_entry(key, value)}", self.origin(path, value)

    def origin(self, path: KeyPath, value: Any) -> str:
        """Where one value is from."""
        if _reach(self.loaded, path) != (path, value):
            return FILLED
        if path == ("name",) and path not in self.layers.origins:
            return FILE_NAME
        reached, _ = _reach(self.layers.values, path)
        if reached is None:
            return DEFAULT
        origin = self.layers.origin(reached)
        if origin == OVERRIDE:
            return COMMAND_LINE
        file = Path(origin).resolve()
        if file.is_relative_to(EXPERIMENTS):
            return f"{file.relative_to(EXPERIMENTS).as_posix()}, packaged"
        return origin


def _reach(values: Any, path: KeyPath) -> tuple[KeyPath | None, Any]:
    """Follow a path as far as there are mappings, for a single word may stand for a section.

    Returns:
        The path that was reached and the value there; None and None where a key is missing.
    """
    for depth, key in enumerate(path):
        if not isinstance(values, dict):
            return path[:depth], values
        if key not in values:
            return None, None
        values = values[key]
    return path, values
