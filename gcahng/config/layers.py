"""Read an experiment as layers: its base files, the file itself, then overrides.

Later layers take precedence. Mappings are merged key by key; any other value, null included,
replaces the earlier one. Two exceptions: a layer that changes a component's `name` discards the
`args` of the previous component, and the `name` of the experiment is not inherited.
"""

import difflib
from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

from gcahng.config.plain_yaml import parse_yaml
from gcahng.registry import did_you_mean

# By its package: in a build, and where links cannot be made, it is not beside this one.
EXPERIMENTS = Path(str(files("gcahng.experiments"))).resolve()
OVERRIDE = "override"
# The subfolder of `experiments` with grids over experiments.
GRIDS = "ablations"


@dataclass
class Layers:
    """The merged values of an experiment, and the file or override that set each of them.

    Attributes:
        source: The experiment's file.
        values: The merged values.
        origins: Path of a value → the file or override that set it last.
    """

    source: str
    values: dict[str, Any] = field(default_factory=dict)
    origins: dict[tuple[str, ...], str] = field(default_factory=dict)

    def add(self, mapping: dict[str, Any], source: str) -> None:
        """Merge a mapping, which takes precedence over the current values."""
        self.values = merge(self.values, mapping)
        self.origins.update((path, source) for path in _paths(mapping))

    def origin(self, path: tuple[str | int, ...]) -> str:
        """Return where a value, or else the innermost mapping around it, was set."""
        for length in range(len(path), 0, -1):
            key = tuple(str(part) for part in path[:length])
            if key in self.origins:
                return self.origins[key]
        return self.source


def load_layers(path: str | Path, overrides: Iterable[str] = ()) -> tuple[Layers, Path]:
    """Merge a file, its bases and overrides; return the layers and the file's resolved path."""
    file = find_config(path)
    layers = Layers(_display_path(file))
    for mapping, source in _read(file, ()):
        layers.add(mapping, source)
    layers.add(_from_overrides(overrides, layers.values), OVERRIDE)
    return layers, file


def find_config(path: str | Path) -> Path:
    """Return the file given by a path or by the name of a packaged experiment.

    Raises:
        FileNotFoundError: If there is none; the message lists similar names, or else all packaged
            experiments.
    """
    given = Path(path).expanduser()
    candidates = [given, EXPERIMENTS / given]
    candidates += [file.with_name(f"{file.name}.yaml") for file in candidates if file.name]
    for file in candidates:
        if file.is_file():
            return file.resolve()
    packaged = packaged_experiments()
    neighbours = [str(file) for file in sorted(given.parent.glob("*.yaml"))]
    close = difflib.get_close_matches(str(given), [*neighbours, *packaged])
    listed = f"close to it: {', '.join(close)}" if close else f"packaged: {', '.join(packaged)}"
    raise FileNotFoundError(f"no config file {str(path)!r}; {listed}")


def packaged_experiments() -> list[str]:
    """Return the names of the packaged experiments, without base files (`_name.yaml`)."""
    names = (file.relative_to(EXPERIMENTS).with_suffix("") for file in EXPERIMENTS.rglob("*.yaml"))
    return sorted(
        name.as_posix()
        for name in names
        if not name.name.startswith("_") and name.parts[0] != GRIDS
    )


def parse_settings(texts: Iterable[str]) -> dict[str, Any]:
    """Parse settings of the form `key.path=value`, with values in YAML, into a nested mapping.

    Raises:
        ValueError: If a setting does not have this form.

    Example:
        >>> parse_settings(["split=test", "loss.args.alpha=3.0", "loss.args.delta=1e-1"])
        {'split': 'test', 'loss': {'args': {'alpha': 3.0, 'delta': 0.1}}}
    """
    return _from_overrides(texts, {})


def merge(base: dict[str, Any], layer: dict[str, Any]) -> dict[str, Any]:
    """Return a new mapping: `base` updated recursively with `layer`."""
    merged = dict(base)
    if "name" in layer and layer["name"] != base.get("name"):
        merged.pop("args", None)
    for key, value in layer.items():
        old: Any = merged.get(key)
        inner = isinstance(old, dict) and isinstance(value, dict)
        merged[key] = merge(old, value) if inner else value
    return merged


def _read(path: Path, trail: tuple[Path, ...]) -> list[tuple[dict[str, Any], str]]:
    """Return the mappings of a file's bases and of the file, each with its source.

    Args:
        path: The file.
        trail: The files that led to it, to detect circular bases.
    """
    source = _display_path(path)
    if path in trail:
        cycle = " → ".join(_display_path(file) for file in (*trail[trail.index(path) :], path))
        raise ValueError(f"{_display_path(trail[-1])}: circular base: {cycle}")
    mapping = _read_mapping(path, source)
    bases = mapping.pop("base", [])
    if trail:
        mapping.pop("name", None)
    layers = []
    for base in bases if isinstance(bases, list) else [bases]:
        layers += _read(_base_path(base, path, source), (*trail, path))
    return [*layers, (mapping, source)]


def _read_mapping(path: Path, source: str) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{source}: not a text file in UTF-8 ({error.reason})") from error
    content = parse_yaml(text, source)
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise ValueError(f"{source}: expected 'key: value' lines, got {content!r:.60}")
    return content


def _base_path(base: object, path: Path, source: str) -> Path:
    if not isinstance(base, str):
        raise ValueError(f"{source}: base: expected a path or a list of paths, got {base!r}")
    file = path.parent / base
    if not file.is_file():
        prefix = base[: len(base) - len(Path(base).name)]
        hint = did_you_mean(base, (f"{prefix}{other.name}" for other in file.parent.glob("*.yaml")))
        raise FileNotFoundError(
            f"{source}: base {base!r} does not exist{hint}; write it relative to this file"
        )
    return file.resolve()


def _from_overrides(overrides: Iterable[str], values: dict[str, Any]) -> dict[str, Any]:
    """Parse `key.path=value` overrides into one mapping; later ones take precedence.

    Setting a key below a section that is null, in `values` or by an earlier override, is an
    error, because the section's other keys would silently get their defaults.
    """
    mapping: dict[str, Any] = {}
    for text in overrides:
        dotted, equals, value = text.partition("=")
        keys = dotted.strip().split(".")
        if not equals or not all(keys):
            raise ValueError(f"{OVERRIDE} {text!r}: expected key.path=value, as in train.epochs=5")
        if not value.strip():
            raise ValueError(f"{OVERRIDE} {text!r}: no value given; write {dotted}=null for none")
        inner, current = mapping, values
        for depth, key in enumerate(keys[:-1]):
            current = current.get(key, {}) if isinstance(current, dict) else {}
            if inner.get(key, current) is None:
                null = ".".join(keys[: depth + 1])
                raise ValueError(
                    f"{OVERRIDE} {text!r}: {null} is null; set it as a whole, as in '{null}={{…}}'"
                )
            if not isinstance(inner.get(key), dict):
                inner[key] = {}
            inner = inner[key]
        inner[keys[-1]] = parse_yaml(value, f"{OVERRIDE} {text!r}")
    return mapping


def _paths(mapping: dict[str, Any], prefix: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    paths = []
    for key, value in mapping.items():
        paths.append((*prefix, key))
        if isinstance(value, dict):
            paths += _paths(value, (*prefix, key))
    return paths


def _display_path(path: Path) -> str:
    """Return the path relative to the current folder if it is inside it."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)
