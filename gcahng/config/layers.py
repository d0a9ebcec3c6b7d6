"""Read an experiment as layers: its base files, the file itself, then overrides.

Later layers take precedence. Mappings are merged key by key; any other value, null included,
replaces the earlier one. Two exceptions: a layer that changes a component's `name` discards the
arguments of the previous component (`args`; of a transform `train` and `test`), and the `name` of
the experiment is not inherited.
"""

import difflib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from gcahng.config.plain_yaml import parse_yaml
from gcahng.config.sections import Section, each_quirk
from gcahng.errors import did_you_mean, dotted, explain, show

# By its package: in a build, and where links cannot be made, it is not beside this one.
EXPERIMENTS = Path(str(files("gcahng.experiments"))).resolve()
OVERRIDE = "override"
# Subfolders of `experiments` with grids over experiments, and with searches for settings.
GRIDS, STUDIES = "ablations", "studies"
TRANSFORM = ("data", "transform")
# The component that a section without a name means; for a transform, the one of photos.
UNNAMED = {("generator",): "gca_hng", ("loss",): "npair", TRANSFORM: "imagenet"}

KeyPath = tuple[str, ...]
Model = TypeVar("Model", bound=Section)


@dataclass
class Layers:
    """The merged values of the file `source`, and what set each of them last, by its path."""

    source: str
    values: dict[str, Any] = field(default_factory=dict)
    origins: dict[KeyPath, str] = field(default_factory=dict)

    def add(self, mapping: dict[str, Any], source: str) -> None:
        """Merge a mapping, which takes precedence over the current values."""
        if "quirks" in mapping:
            mapping = {**mapping, "quirks": each_quirk(mapping["quirks"])}
        self.values = merge(self.values, mapping)
        self.origins |= dict.fromkeys(_paths(mapping), source)

    def origin(self, path: tuple[str | int, ...]) -> str:
        """Return where a value, or else the innermost mapping around it, was set."""
        for length in range(len(path), 0, -1):
            key = tuple(str(part) for part in path[:length])
            if key in self.origins:
                return self.origins[key]
        return self.source


def validate(model: type[Model], layers: Layers) -> Model:
    """Make a model from the merged values of some layers; a ValueError has a line per mistake."""
    try:
        return model.model_validate(layers.values)
    except ValidationError as error:
        lines = explain(error, model, layers.values, lambda path: f"{layers.origin(path)}: ")
        raise ValueError(lines) from None


def load_layers(path: str | Path, overrides: Iterable[str] = ()) -> tuple[Layers, Path]:
    """Merge a file, its bases and overrides; return the layers and the file's resolved path."""
    file = find_config(path)
    layers = Layers(_display_path(file))
    for mapping, source in _read(file, ()):
        layers.add(mapping, source)
    layers.add(parse_overrides(overrides, layers.values), OVERRIDE)
    return layers, file


def find_config(path: str | Path) -> Path:
    """Return the file given by a path or by the name of a packaged experiment."""
    given = Path(path).expanduser()
    candidates = [given, EXPERIMENTS / given]
    candidates += [file.with_name(f"{file.name}.yaml") for file in candidates if file.name]
    for file in candidates:
        if file.is_file():
            file = file.resolve()
            if file.is_relative_to(EXPERIMENTS) and file.name.startswith("_"):
                raise ValueError(f"{str(path)!r} is a part of experiments, not an experiment")
            return file
    if "=" in given.name:
        example = f"as in 'quickstart {path}'"
        raise ValueError(f"{str(path)!r} is a setting: name an experiment before it, {example}")
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
        if not name.name.startswith("_") and name.parts[0] not in (GRIDS, STUDIES)
    )


def merge(base: dict[str, Any], layer: dict[str, Any], path: KeyPath = ()) -> dict[str, Any]:
    """Return a new mapping: `base`, at this path, updated recursively with `layer`."""
    merged = dict(base)
    if "name" in layer:
        unnamed = UNNAMED.get(path)
        if (layer["name"] or unnamed) != (base.get("name") or unnamed):
            for key in ("train", "test") if path == TRANSFORM else ("args",):
                merged.pop(key, None)
    for key, value in layer.items():
        old: Any = merged.get(key)
        inner = isinstance(old, dict) and isinstance(value, dict)
        merged[key] = merge(old, value, (*path, key)) if inner else value
    return merged


def _read(path: Path, trail: tuple[Path, ...]) -> list[tuple[dict[str, Any], str]]:
    """Return the mappings of a file's bases and of the file, each with its source.

    `trail` holds the files that led to it.
    """
    source = _display_path(path)
    if path in trail:
        cycle = " → ".join(_display_path(file) for file in (*trail[trail.index(path) :], path))
        raise ValueError(f"{_display_path(trail[-1])}: circular base: {cycle}")
    mapping = parse_mapping(read_text(path, source), source)
    bases = mapping.pop("base", [])
    if trail:
        mapping.pop("name", None)
    layers = []
    for base in bases if isinstance(bases, list) else [bases]:
        layers += _read(_base_path(base, path, source), (*trail, path))
    return [*layers, (mapping, source)]


def read_text(path: Path, source: str) -> str:
    """Read a text file in UTF-8; `source` is its name in a ValueError."""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{source}: not a text file in UTF-8 ({error.reason})") from error


def parse_mapping(text: str, source: str) -> dict[str, Any]:
    """Parse YAML whose outermost value is a mapping, or nothing; `source` begins a ValueError."""
    content = parse_yaml(text, source)
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise ValueError(f"{source}: expected 'key: value' lines, got {show(content)}")
    return content


def _base_path(base: object, path: Path, source: str) -> Path:
    """Return the file of a base: relative to the file that names it, or a packaged experiment."""
    if not isinstance(base, str):
        raise ValueError(f"{source}: base: expected a path or a list of paths, got {base!r}")
    folder = path.parent
    for file in (folder / base, EXPERIMENTS / base, EXPERIMENTS / f"{base}.yaml"):
        if file.is_file():
            return file.resolve()
    beside = (str(Path(base).parent / one.name) for one in (folder / base).parent.glob("*.yaml"))
    hint = did_you_mean(base, [*beside, *packaged_experiments()])
    raise FileNotFoundError(
        f"{source}: base {base!r} does not exist{hint}; write it relative to this file, or name a "
        "packaged experiment"
    )


def _paths(mapping: dict[str, Any], outer: KeyPath = ()) -> Iterator[KeyPath]:
    """Yield the path of every value of a nested mapping, mappings included."""
    for key, value in mapping.items():
        yield (*outer, key)
        if isinstance(value, dict):
            yield from _paths(value, (*outer, key))


def _display_path(path: Path) -> str:
    """Return the path relative to the current folder if it is inside it."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def parse_overrides(overrides: Iterable[str], values: Mapping[str, Any] = {}) -> dict[str, Any]:
    """Parse `key.path=value` overrides of `values` into one mapping; later ones take precedence.

    A key below a section that is null is refused: its other keys would silently get their defaults.

    Example:
        >>> parse_overrides(["split=test", "loss.args.alpha=3.0", "loss.args.delta=1e-1"])
        {'split': 'test', 'loss': {'args': {'alpha': 3.0, 'delta': 0.1}}}
    """
    mapping: dict[str, Any] = {}
    for text in overrides:
        name, equals, value = text.partition("=")
        keys = tuple(name.strip().split("."))
        if not equals or not all(keys):
            raise ValueError(f"{OVERRIDE} {text!r}: expected key.path=value, as in train.epochs=5")
        if not value.strip():
            raise ValueError(f"{OVERRIDE} {text!r}: no value given; write {name}=null for none")
        source = f"{OVERRIDE} {text!r}"
        put(mapping, keys, parse_yaml(value.strip(), source), values, source)
    return mapping


def put(
    mapping: dict[str, Any], keys: KeyPath, value: Any, below: Mapping[str, Any], source: str
) -> None:
    """Set a value in a mapping that is to be merged into `below`, where it is not below a null."""
    inner, current = mapping, below
    for depth, key in enumerate(keys[:-1], start=1):
        where = dotted(keys[:depth])
        current = current.get(key, {}) if isinstance(current, Mapping) else {}
        if inner.get(key, current) is None:
            whole = f"set it as a whole, as in '{where}={{…}}'"
            raise ValueError(f"{source}: {where} is null; {whole}")
        found = inner.get(key, {})
        found = each_quirk(found) if where == "quirks" else found
        if not isinstance(found, dict):
            raise ValueError(f"{source}: {where} was set to {show(found)} before it")
        inner[key] = found
        inner = found
    inner[keys[-1]] = value
