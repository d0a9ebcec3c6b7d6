"""Read an experiment as layers: its base files, the file itself, then overrides.

Later layers take precedence. Mappings are merged key by key; any other value, null included,
replaces the earlier one. Two exceptions: a layer that changes a component's `name` discards the
arguments of the previous component (`args`; of a transform `train` and `test`), and the `name` of
the experiment is not inherited.
"""

import difflib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

from gcahng.config.errors import describe, dotted, section_at, show
from gcahng.config.overrides import OVERRIDE, parse_overrides
from gcahng.config.plain_yaml import parse_yaml
from gcahng.config.schema import ExperimentConfig
from gcahng.config.sections import each_quirk
from gcahng.registry import did_you_mean

# By its package: in a build, and where links cannot be made, it is not beside this one.
EXPERIMENTS = Path(str(files("gcahng.experiments"))).resolve()
# Subfolders of `experiments` with grids over experiments, and with searches for settings.
GRIDS, STUDIES = "ablations", "studies"
TRANSFORM = ("data", "transform")

# Which settings of a layer count as chosen for just this experiment:
# - each: all of them.
# - beside: those of a component that the layer names too, as in the common settings of a grid.
# - none: no setting, as in the complete configuration of a run, which also lists
#   settings without effect.
Meant = Literal["each", "beside", "none"]


@dataclass
class Layers:
    """The merged values of an experiment, and the file or override that set each of them.

    Attributes:
        source: The experiment's file.
        values: The merged values.
        origins: Path of a value → the file or override that set it last.
        numbers: Path of a value → the number of the layer that set it last.
        meant: For each layer, which of its settings were chosen for this experiment.
    """

    source: str
    values: dict[str, Any] = field(default_factory=dict)
    origins: dict[tuple[str, ...], str] = field(default_factory=dict)
    numbers: dict[tuple[str, ...], int] = field(default_factory=dict)
    meant: list[Meant] = field(default_factory=list)

    def add(self, mapping: dict[str, Any], source: str, meant: Meant = "each") -> None:
        """Merge a mapping, which takes precedence over the current values.

        Raises:
            ValueError: If it sets a key of a section that an earlier layer has set wrongly, to
                something other than a mapping.
        """
        if isinstance(mapping.get("quirks"), dict) and "quirks" in self.values:
            self._expand_quirks()
        self._refuse_hidden(self.values, mapping)
        self.values = merge(self.values, mapping)
        whole = ExperimentConfig.model_fields.keys() <= mapping.keys()
        number = len(self.meant)
        self.meant.append("none" if whole else meant)
        for path, value in _paths(mapping):
            self.origins[path] = source
            if not isinstance(value, dict):
                self.numbers[path] = number

    def _expand_quirks(self) -> None:
        """Put every quirk in the place of a single word for all of them."""
        word = self.values["quirks"]
        expanded = each_quirk(word)
        if expanded is not word:
            origin = self.origin(("quirks",))
            self.origins |= {("quirks", quirk): origin for quirk in expanded}
            self.values = {**self.values, "quirks": expanded}

    def _refuse_hidden(
        self, values: dict[str, Any], mapping: dict[str, Any], outer: tuple[str, ...] = ()
    ) -> None:
        for key, value in mapping.items():
            old, path = values.get(key), (*outer, key)
            if not isinstance(value, dict) or old is None:
                continue
            if isinstance(old, dict):
                self._refuse_hidden(old, value, path)
            elif (section := section_at(ExperimentConfig, path)) is not None:
                expected = f"expected {describe(section)}, got {show(old)}"
                raise ValueError(f"{self.origin(path)}: {dotted(path)}: {expected}")

    def chosen(self, path: tuple[str, ...], reasons: Iterable[tuple[str, ...]]) -> bool:
        """True if a value was chosen knowing what some other settings are.

        That is, it was set in the layer that set the last of these others, or after it.

        Args:
            path: Of the value.
            reasons: Paths of the other settings.
        """
        number = self.numbers.get(path, -1)
        latest = max((self.numbers.get(reason, -1) for reason in reasons), default=-1)
        if number < 0:
            return False
        meant = self.meant[number]
        return meant != "none" and number >= latest and (meant == "each" or number == latest)

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
    layers.add(parse_overrides(overrides, layers.values, ExperimentConfig), OVERRIDE)
    return layers, file


def find_config(path: str | Path) -> Path:
    """Return the file given by a path or by the name of a packaged experiment.

    Raises:
        FileNotFoundError: If there is none; the message lists similar names, or else all packaged
            experiments.
        ValueError: If it is a setting, or a packaged part of experiments.
    """
    given = Path(path).expanduser()
    candidates = [given, EXPERIMENTS / given]
    candidates += [file.with_name(f"{file.name}.yaml") for file in candidates if file.name]
    for file in candidates:
        if file.is_file():
            _refuse_part(file.resolve(), path)
            return file.resolve()
    if "=" in given.name:
        example = f"as in 'quickstart {path}'"
        raise ValueError(f"{str(path)!r} is a setting: name an experiment before it, {example}")
    packaged = packaged_experiments()
    neighbours = [str(file) for file in sorted(given.parent.glob("*.yaml"))]
    close = difflib.get_close_matches(str(given), [*neighbours, *packaged])
    listed = f"close to it: {', '.join(close)}" if close else f"packaged: {', '.join(packaged)}"
    raise FileNotFoundError(f"no config file {str(path)!r}; {listed}")


def _refuse_part(file: Path, given: str | Path) -> None:
    """Raise for a packaged base file, which is only a part of experiments."""
    if not (file.is_relative_to(EXPERIMENTS) and file.name.startswith("_")):
        return
    folder = file.parent.relative_to(EXPERIMENTS).as_posix()
    beside = [name for name in packaged_experiments() if name.startswith(f"{folder}/")]
    named = [name for name in beside if file.stem.removeprefix("_") in name]
    raise ValueError(
        f"{str(given)!r} is a part that experiments are based on, not an experiment; "
        f"choose from: {', '.join(named or beside)}"
    )


def packaged_experiments() -> list[str]:
    """Return the names of the packaged experiments, without base files (`_name.yaml`)."""
    names = (file.relative_to(EXPERIMENTS).with_suffix("") for file in EXPERIMENTS.rglob("*.yaml"))
    return sorted(
        name.as_posix()
        for name in names
        if not name.name.startswith("_") and name.parts[0] not in (GRIDS, STUDIES)
    )


def merge(
    base: dict[str, Any], layer: dict[str, Any], path: tuple[str, ...] = ()
) -> dict[str, Any]:
    """Return a new mapping: `base` updated recursively with `layer`.

    Args:
        base: The earlier values.
        layer: The later values.
        path: Keys that lead to both mappings; none at the top.
    """
    merged = dict(base)
    if "name" in layer:
        # Without a name it is the data set's own transform, which for photos is this one.
        unnamed = "imagenet" if path == TRANSFORM else None
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

    Args:
        path: The file.
        trail: The files that led to it, to detect circular bases.
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
    """Read a text file.

    Raises:
        ValueError: If it is not UTF-8; the message starts with `source`.
    """
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{source}: not a text file in UTF-8 ({error.reason})") from error


def parse_mapping(text: str, source: str) -> dict[str, Any]:
    """Parse YAML whose outermost value is a mapping, or nothing.

    Raises:
        ValueError: If it is anything else; the message starts with `source`.
    """
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
    prefix = base[: len(base) - len(Path(base).name)]
    beside = (f"{prefix}{other.name}" for other in (folder / base).parent.glob("*.yaml"))
    hint = did_you_mean(base, [*beside, *packaged_experiments()])
    raise FileNotFoundError(
        f"{source}: base {base!r} does not exist{hint}; write it relative to this file, or name a "
        "packaged experiment"
    )


def _paths(
    mapping: dict[str, Any], prefix: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield every value of a nested mapping with its path, mappings included."""
    for key, value in mapping.items():
        yield (*prefix, key), value
        if isinstance(value, dict):
            yield from _paths(value, (*prefix, key))


def _display_path(path: Path) -> str:
    """Return the path relative to the current folder if it is inside it."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)
