"""Read an experiment as layers: the YAML files it is based on, the file itself, then overrides.

A later layer wins. Mappings are merged key by key, anything else (null included) replaces.
Two rules keep inheritance free of leftovers: a layer that changes a component's `name` drops the
`args` written for the old one, and the experiment's own `name` is never inherited.
"""

import difflib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gcahng.config.plain_yaml import parse_yaml
from gcahng.registry import did_you_mean

EXPERIMENTS = (Path(__file__).parents[1] / "experiments").resolve()
OVERRIDE = "override"
# The folder of `experiments` that holds grids over experiments rather than experiments.
GRIDS = "ablations"


@dataclass
class Layers:
    """The merged values of the experiment `source`, and which file or override set each."""

    source: str
    values: dict[str, Any] = field(default_factory=dict)
    origins: dict[tuple[str, ...], str] = field(default_factory=dict)

    def add(self, mapping: dict[str, Any], source: str) -> None:
        """Lay a mapping over what is there."""
        self.values = merge(self.values, mapping)
        self.origins.update((path, source) for path in _paths(mapping))

    def origin(self, path: tuple[str | int, ...]) -> str:
        """Return where a value was set, or the closest mapping around it."""
        for length in range(len(path), 0, -1):
            key = tuple(str(part) for part in path[:length])
            if key in self.origins:
                return self.origins[key]
        return self.source


def load_layers(path: str | Path, overrides: Iterable[str] = ()) -> tuple[Layers, Path]:
    """Read a file, its bases and the overrides; return them merged, with the file's real path."""
    found = find_config(path)
    layers = Layers(_shown(found))
    for mapping, source in _read(found, ()):
        layers.add(mapping, source)
    layers.add(_from_overrides(overrides, layers.values), OVERRIDE)
    return layers, found


def find_config(path: str | Path) -> Path:
    """Return the file meant by a path, or by the bare name of a packaged experiment.

    Raises:
        FileNotFoundError: If there is none; the sentence lists names close to it, or all packaged.
    """
    given = Path(path).expanduser()
    tries = [given, EXPERIMENTS / given]
    tries += [place.with_name(f"{place.name}.yaml") for place in tries if place.name]
    for place in tries:
        if place.is_file():
            return place.resolve()
    packaged = packaged_experiments()
    beside = [str(file) for file in sorted(given.parent.glob("*.yaml"))]
    close = difflib.get_close_matches(str(given), [*beside, *packaged])
    listed = f"close to it: {', '.join(close)}" if close else f"packaged: {', '.join(packaged)}"
    raise FileNotFoundError(f"no config file {str(path)!r}; {listed}")


def packaged_experiments() -> list[str]:
    """Names of the experiments that come along; `_name.yaml` is a part for others to build on."""
    names = (file.relative_to(EXPERIMENTS).with_suffix("") for file in EXPERIMENTS.rglob("*.yaml"))
    return sorted(
        name.as_posix()
        for name in names
        if not name.name.startswith("_") and name.parts[0] != GRIDS
    )


def parse_settings(texts: Iterable[str]) -> dict[str, Any]:
    """Return `key=value` texts, the values written as in YAML, as a mapping.

    Raises:
        ValueError: If a text is not of this form.
    """
    return _from_overrides(texts, {})


def merge(base: dict[str, Any], layer: dict[str, Any]) -> dict[str, Any]:
    """Return `base` with `layer` laid over it; neither is changed."""
    merged = dict(base)
    if "name" in layer and layer["name"] != base.get("name"):
        merged.pop("args", None)
    for key, value in layer.items():
        old: Any = merged.get(key)
        inner = isinstance(old, dict) and isinstance(value, dict)
        merged[key] = merge(old, value) if inner else value
    return merged


def _read(path: Path, trail: tuple[Path, ...]) -> list[tuple[dict[str, Any], str]]:
    """Return the mappings of a file's bases, then of the file, each with the source's name."""
    source = _shown(path)
    if path in trail:
        circle = " → ".join(_shown(file) for file in (*trail[trail.index(path) :], path))
        raise ValueError(f"{_shown(trail[-1])}: base goes round in a circle: {circle}")
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
    found = path.parent / base
    if not found.is_file():
        folder = found.parent
        prefix = base[: len(base) - len(Path(base).name)]
        hint = did_you_mean(base, (f"{prefix}{file.name}" for file in folder.glob("*.yaml")))
        raise FileNotFoundError(
            f"{source}: base {base!r} does not exist{hint}; write it relative to this file"
        )
    return found.resolve()


def _from_overrides(overrides: Iterable[str], values: dict[str, Any]) -> dict[str, Any]:
    """Return `key.path=value` texts as one mapping, the last word on a key winning.

    None may reach into what is null in `values` or was set to it: defaults would come back.
    """
    mapping: dict[str, Any] = {}
    for text in overrides:
        dotted, equals, value = text.partition("=")
        keys = dotted.strip().split(".")
        if not equals or not all(keys):
            raise ValueError(f"{OVERRIDE} {text!r}: expected key.path=value, as in train.epochs=5")
        if not value.strip():
            raise ValueError(f"{OVERRIDE} {text!r}: no value given; write {dotted}=null for none")
        inner, there = mapping, values
        for depth, key in enumerate(keys[:-1]):
            there = there.get(key, {}) if isinstance(there, dict) else {}
            if inner.get(key, there) is None:
                null = ".".join(keys[: depth + 1])
                raise ValueError(
                    f"{OVERRIDE} {text!r}: {null} is null; give all of it, as in '{null}={{…}}'"
                )
            if not isinstance(inner.get(key), dict):
                inner[key] = {}
            inner = inner[key]
        inner[keys[-1]] = parse_yaml(value, f"{OVERRIDE} {text!r}")
    return mapping


def _paths(mapping: dict[str, Any], above: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    paths = []
    for key, value in mapping.items():
        paths.append((*above, key))
        if isinstance(value, dict):
            paths += _paths(value, (*above, key))
    return paths


def _shown(path: Path) -> str:
    """Return the path as a user would write it: relative where it lies below the current folder."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)
