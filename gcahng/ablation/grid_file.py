"""The keys of a grid file, and how its cells are put together."""

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Annotated

from pydantic import Field

from gcahng.config.layers import Layers, parse_mapping, read_text, validate
from gcahng.config.sections import MOST_SEEDS, Args, Section, Seed
from gcahng.errors import show
from gcahng.registry import lookup
from gcahng.runs.record import Split


class EqualTime(Section):
    """One experiment, trained for as long as another one took."""

    of: str
    """Name of the cell whose experiment is trained."""
    as_long_as: str = Field(alias="as")
    """Name of the cell whose training time it gets."""


class GridFile(Section):
    """The keys of a grid file; settings are nested mappings or have dotted keys."""

    title: str | None = None
    """Heading of the report; null: the file's name."""
    base: str
    """The experiment: a path relative to the grid file, or the name of a packaged one."""
    seeds: Annotated[int, Field(ge=1, le=MOST_SEEDS)] = 5
    """How many seeds each cell is trained with."""
    first_seed: Seed = 0
    """The seeds are consecutive from this one."""
    reference: str
    """The cell that all others are compared with."""
    split: Split = "test"
    """Split whose figures are reported; `val`, the held-out training classes, to tune on."""
    show: str | None = None
    """A cell whose first run the HTML page shows with batch pictures and nearest neighbours."""
    note: str | None = None
    """A sentence to put below the table."""
    settings: Args = Field(default_factory=dict)
    """Settings of every cell."""
    cells: Args = Field(default_factory=dict)
    """Settings by the cell's name; with `base` among them, of another experiment."""
    axes: Args = Field(default_factory=dict)
    """Settings by label, by axis; every combination of labels is a cell, such as `gca-npair`."""
    equal_time: dict[str, EqualTime] = Field(default_factory=dict)
    """`{of: A, as: B}` by the cell's name: A, trained for as long as B took with the same seed."""


@dataclass(frozen=True)
class Plan:
    """How the experiment of a cell is made.

    Attributes:
        base: The experiment that it changes, as written in the file.
        layers: Settings to merge into it one after the other, each with its place in the file.
        equal_time: For a cell of equal time, the two cells that it depends on; else None.
    """

    base: str
    layers: tuple[tuple[str, Args], ...]
    equal_time: EqualTime | None = None


def read_file(path: Path, source: str) -> GridFile:
    """Read a grid file and check its own keys, not yet the settings of its cells.

    Args:
        path: The file.
        source: What to call it in error messages.

    Raises:
        ValueError: If it is not YAML, or a key is unknown, missing or of the wrong kind.
    """
    content = parse_mapping(read_text(path, source), source)
    if "data" in content or "embedder" in content:
        raise ValueError(f"{source} is an experiment, not a grid: give it to gcahng train")
    layers = Layers(source)
    layers.add(content, source)
    return validate(GridFile, layers)


def plan_cells(file: GridFile, source: str) -> dict[str, Plan]:
    """List all cells: the named ones, the combinations of the axes, those of equal time.

    Args:
        file: The grid file.
        source: What to call it in error messages.

    Raises:
        ValueError: If there are no cells, two have the same name, or a name is unknown.
    """
    plans: dict[str, Plan] = {}
    for name, plan in (*_named(file, source), *_combined(file, source)):
        _add(plans, name, plan, source)
    if not plans:
        raise ValueError(f"{source}: no cells: give 'cells', 'axes' or both")
    ordinary = dict(plans)
    for name, equal_time in file.equal_time.items():
        place = f"{source}: equal_time.{name}"
        _known(ordinary, equal_time.of, f"{place}.of")
        _known(ordinary, equal_time.as_long_as, f"{place}.as")
        plan = plans[equal_time.of]
        _add(plans, name, Plan(plan.base, plan.layers, equal_time), source)
    _known(plans, file.reference, f"{source}: reference")
    if file.show is not None:
        _known(plans, file.show, f"{source}: show")
    return plans


def _named(file: GridFile, source: str) -> Iterator[tuple[str, Plan]]:
    for name, value in file.cells.items():
        place = f"{source}: cells.{name}"
        settings = dict(_mapping(value, place))
        base = settings.pop("base", file.base)
        if not isinstance(base, str):
            raise ValueError(f"{place}.base: expected text, got {show(base)}")
        yield name, Plan(base, ((f"cells.{name}", settings),))


def _combined(file: GridFile, source: str) -> Iterator[tuple[str, Plan]]:
    axes = []
    for axis, labels in file.axes.items():
        place = f"{source}: axes.{axis}"
        options = [
            (label, f"axes.{axis}.{label}", _mapping(value, f"{place}.{label}"))
            for label, value in _mapping(labels, place).items()
        ]
        if not options:
            raise ValueError(f"{place}: no labels: map each to its settings")
        axes.append(options)
    for chosen in product(*axes) if axes else ():
        layers = tuple((place, settings) for _, place, settings in chosen)
        yield "-".join(label for label, _, _ in chosen), Plan(file.base, layers)


def _add(plans: dict[str, Plan], name: str, plan: Plan, source: str) -> None:
    if name in plans:
        raise ValueError(f"{source}: two cells are called {name!r}: rename one, or a label of it")
    plans[name] = plan


def _known(plans: dict[str, Plan], name: str, place: str) -> None:
    try:
        lookup(plans, name, "cell")
    except ValueError as error:
        raise ValueError(f"{place}: {error}") from None


def _mapping(value: object, place: str) -> Args:
    """Return a mapping; null counts as an empty one."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ValueError(f"{place}: expected a mapping, got {show(value)}")
    return value


def nested(settings: Args, below: Args, place: str) -> Args:
    """Turn dotted keys into nested mappings.

    Args:
        settings: Not changed; the result is a copy.
        below: The settings that these will be merged into. A dotted key must not reach into a
            section that is null in either, because the section's defaults would come back.
        place: Where the settings are written, for error messages.

    Raises:
        ValueError: If a key reaches into null or into a single value, or a key is set twice.

    >>> nested({"train.epochs": 2, "train.warmup_epochs": 1}, {}, "here")
    {'train': {'epochs': 2, 'warmup_epochs': 1}}
    """
    mapping: Args = {}
    for dotted, value in settings.items():
        *outer, last = dotted.split(".")
        inner, there = mapping, below
        for depth, key in enumerate(outer, start=1):
            there = there.get(key, {}) if isinstance(there, dict) else {}
            found = inner.setdefault(key, None if there is None else {})
            if found is None:
                null = ".".join(outer[:depth])
                raise ValueError(f"{place}: {dotted}: {null} is null; give all of it as a mapping")
            if not isinstance(found, dict):
                raise ValueError(f"{place}: {dotted}: {'.'.join(outer[:depth])} is no mapping")
            inner = found
        if last in inner:
            raise ValueError(f"{place}: {dotted} is given twice")
        inner[last] = deepcopy(value)
    return mapping
