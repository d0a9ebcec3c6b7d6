"""What stands in a grid file, and how its cells are put together."""

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, TypeVar

from pydantic import Field, ValidationError, create_model

from gcahng.config.errors import explain, show
from gcahng.config.layers import Layers
from gcahng.config.plain_yaml import parse_yaml
from gcahng.config.sections import Args, AtLeast0, AtLeast1, Section
from gcahng.registry import lookup
from gcahng.runs.record import Split

Model = TypeVar("Model", bound=Section)


class GridFile(Section):
    """The keys of a grid file; settings are nested mappings or have dotted keys."""

    title: str | None = None
    """Heading of the report; null: the file's name."""
    base: str
    """The experiment: a path relative to the grid file, or the name of a packaged one."""
    seeds: AtLeast1 = 5
    first_seed: AtLeast0 = 0
    reference: str
    """The cell that paired differences are taken to."""
    split: Split = "test"
    """Whose figures are reported; `val`, the held-out training classes, to tune on."""
    settings: Args = Field(default_factory=dict)
    """Settings of every cell."""
    cells: Args = Field(default_factory=dict)
    """Settings by the cell's name; with `base` among them, of another experiment."""
    axes: Args = Field(default_factory=dict)
    """Settings by label, by axis; every combination of labels is a cell, such as `gca-npair`."""
    equal_time: Args = Field(default_factory=dict)
    """`{of: A, as: B}` by the cell's name: A, trained for as long as B took with the same seed."""


# `as` is a word of Python's own: a class with such an attribute cannot be written out.
_FIELDS: dict[str, Any] = {"of": (str, ...), "as": (str, ...)}
EqualTime = create_model("EqualTime", __base__=Section, **_FIELDS)


@dataclass(frozen=True)
class Plan:
    """How a cell comes about.

    Attributes:
        base: Its experiment, as written.
        layers: Settings to lay over it one after the other, each with its place in the file.
        needs: Names of the cell that is trained and of the one whose time it gets; else empty.
    """

    base: str
    layers: tuple[tuple[str, Args], ...]
    needs: tuple[str, ...] = ()


def read_file(path: Path, source: str) -> GridFile:
    """Read a grid file as far as its own keys go.

    Args:
        path: The file.
        source: What to call it in an error.

    Raises:
        ValueError: If it is not YAML, or a key is unknown, missing or of the wrong kind.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{source}: not a text file in UTF-8 ({error.reason})") from error
    content = parse_yaml(text, source)
    if not isinstance(content, dict):
        raise ValueError(f"{source}: expected 'key: value' lines, got {show(content)}")
    layers = Layers(source)
    layers.add(content, source)
    return validated(GridFile, layers)


def validated(model: type[Model], layers: Layers) -> Model:
    """Fill a model with the values of some layers.

    Raises:
        ValueError: If they do not fit; one line for each mistake.
    """
    try:
        return model.model_validate(layers.values)
    except ValidationError as error:
        raise ValueError(explain(error, model, layers.source, layers.origin)) from None


def plan_cells(file: GridFile, source: str) -> dict[str, Plan]:
    """Put the cells together: those with a name, the product of the axes, those of equal time.

    Raises:
        ValueError: If there are none, or two have one name, or a name is unknown.
    """
    plans: dict[str, Plan] = {}
    for name, plan in (*_named(file, source), *_combined(file, source)):
        _add(plans, name, plan, source)
    if not plans:
        raise ValueError(f"{source}: no cells: give 'cells', 'axes' or both")
    ordinary = dict(plans)
    for name, value in file.equal_time.items():
        place = f"{source}: equal_time.{name}"
        layers = Layers(place)
        layers.add(_mapping(value, place), place)
        needs = tuple(validated(EqualTime, layers).model_dump().values())
        for key, need in zip(("of", "as"), needs, strict=True):
            _known(ordinary, need, f"{place}.{key}")
        plan = plans[needs[0]]
        _add(plans, name, Plan(plan.base, plan.layers, needs), source)
    _known(plans, file.reference, f"{source}: reference")
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
    """A mapping; nothing at all is an empty one."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ValueError(f"{place}: expected a mapping, got {show(value)}")
    return value


def nested(settings: Args, below: Args, place: str) -> Args:
    """Return settings with their dotted keys taken apart.

    Args:
        settings: Neither changed nor shared with what is returned.
        below: What they will be laid over: none may reach into what is null there or here, since
            defaults would come back.
        place: Where they stand, for error sentences.

    Raises:
        ValueError: If one reaches into null, or two set the same.
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
