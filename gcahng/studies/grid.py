"""A grid: its file, its seeds and its cells, each with a complete, checked experiment."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from gcahng.config import ExperimentConfig
from gcahng.config.errors import show
from gcahng.config.layers import GRIDS
from gcahng.config.sections import MOST_SEEDS, Args, Section, Seed
from gcahng.registry import lookup
from gcahng.runs.record import Split
from gcahng.studies.changes import changed_settings
from gcahng.studies.experiments import (
    Mistakes,
    check_parts,
    find_base,
    merge_settings,
    read_section,
    read_yaml,
)


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
class Cell:
    """One row of the comparison.

    Attributes:
        name: Of the row and of its runs.
        config: The experiment with the first seed.
        equal_time: The cell whose experiment this is and the cell whose training time it gets, in
            whole epochs; None for a cell that keeps its own number of epochs.
    """

    name: str
    config: ExperimentConfig
    equal_time: EqualTime | None = None

    @property
    def waits_for(self) -> tuple[str, ...]:
        """Names of the cells that must be trained first: those that `equal_time` names."""
        return () if self.equal_time is None else (self.equal_time.of, self.equal_time.as_long_as)


@dataclass(frozen=True)
class Grid:
    """Experiments that are compared over some seeds.

    Attributes:
        source: The file, as a user would write it.
        name: Of the folder of the runs, and of the result files.
        file: Its content.
        seeds: Every cell is trained with each of these.
        cells: By name.
    """

    source: str
    name: str
    file: GridFile
    seeds: range
    cells: dict[str, Cell]

    @property
    def title(self) -> str:
        """Heading of the report."""
        return self.file.title or self.name

    @property
    def reference(self) -> str:
        """Name of the cell that the others are compared with."""
        return self.file.reference

    @property
    def split(self) -> Split:
        """Split whose figures are reported."""
        return self.file.split

    @property
    def folder(self) -> Path:
        """Where the runs go, and by default the results."""
        return Path(self.cells[self.reference].config.output) / "ablations" / self.name

    def changes(self, cell: Cell) -> list[str]:
        """Settings in which the cell's experiment differs from the reference's, as `key=value`."""
        config, reference = cell.config, self.cells[self.reference].config
        alike: dict[str, Any] = {"name": reference.name}
        if cell.equal_time:
            alike["train"] = reference.train
        config = config.model_copy(update=alike)
        changes = changed_settings(config, check_parts(config), reference, check_parts(reference))
        return changes + ([f"as long as {cell.equal_time.as_long_as}"] if cell.equal_time else [])


@dataclass(frozen=True)
class _Plan:
    """How the experiment of a cell is made: settings, with their places, merged into a base."""

    base: str
    parts: tuple[tuple[str, Args], ...]
    equal_time: EqualTime | None = None


def read_grid(path: str | Path, seeds: int | None = None) -> Grid:
    """Read a grid and check every cell of it.

    Args:
        path: A YAML file, or the bare name of a packaged one such as `ablations/generators`.
        seeds: How many seeds; default as in the file.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If anything in it is wrong; one line for each mistake, with its cells.

    >>> grid = read_grid("ablations/depth", seeds=2)
    >>> grid.reference, grid.seeds, len(grid.cells)
    ('1 layer', range(0, 2), 7)
    """
    found, source, content = read_yaml(path, GRIDS, "grid")
    if "data" in content or "embedder" in content:
        raise ValueError(f"{source} is an experiment, not a grid: give it to gcahng train")
    file = read_section(GridFile, content, source)
    plans = _plan_cells(file, source)
    mistakes = Mistakes(len(plans), "cell")
    cells: dict[str, Cell] = {}
    for name, plan in plans.items():
        with mistakes.of(name):
            parts = (("settings", file.settings), *plan.parts)
            base = find_base(plan.base, found, source)
            config = merge_settings(base, parts, name, file.first_seed, source)
            if file.split == "val" and config.selects_on_test:
                raise ValueError(
                    f"{source}: split: 'val' needs classes held out: data.validation above 0 and "
                    "quirks.select as 'corrected'"
                )
            cells[name] = Cell(name, config, plan.equal_time)
            for other in cells[name].waits_for:
                if other in cells and cells[other].config.train.epochs == 0:
                    raise ValueError(
                        f"{source}: equal_time.{name}: '{other}' takes no time, since its "
                        "train.epochs is 0"
                    )
    mistakes.report()
    numbers = range(file.first_seed, file.first_seed + (seeds or file.seeds))
    return Grid(source, found.stem, file, numbers, cells)


def _plan_cells(file: GridFile, source: str) -> dict[str, _Plan]:
    """List all cells: the named ones, the combinations of the axes, those of equal time."""
    plans: dict[str, _Plan] = {}

    def add(name: str, plan: _Plan) -> None:
        if name in plans:
            raise ValueError(
                f"{source}: two cells are called {name!r}: rename one, or a label of it"
            )
        plans[name] = plan

    def check_known(cells: dict[str, _Plan], name: str, place: str) -> None:
        try:
            lookup(cells, name, "cell")
        except ValueError as error:
            raise ValueError(f"{source}: {place}: {error}") from None

    for name, plan in (*_named(file, source), *_combined(file, source)):
        add(name, plan)
    if not plans:
        raise ValueError(f"{source}: no cells: give 'cells', 'axes' or both")
    ordinary = dict(plans)
    for name, equal_time in file.equal_time.items():
        check_known(ordinary, equal_time.of, f"equal_time.{name}.of")
        check_known(ordinary, equal_time.as_long_as, f"equal_time.{name}.as")
        plan = plans[equal_time.of]
        add(name, _Plan(plan.base, plan.parts, equal_time))
    check_known(plans, file.reference, "reference")
    if file.show is not None:
        check_known(plans, file.show, "show")
    return plans


def _named(file: GridFile, source: str) -> Iterator[tuple[str, _Plan]]:
    for name, value in file.cells.items():
        place = f"{source}: cells.{name}"
        settings = dict(_mapping(value, place))
        base = settings.pop("base", file.base)
        if not isinstance(base, str):
            raise ValueError(f"{place}.base: expected text, got {show(base)}")
        yield name, _Plan(base, ((f"cells.{name}", settings),))


def _combined(file: GridFile, source: str) -> Iterator[tuple[str, _Plan]]:
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
        parts = tuple((place, settings) for _, place, settings in chosen)
        yield "-".join(label for label, _, _ in chosen), _Plan(file.base, parts)


def _mapping(value: object, place: str) -> Args:
    """Return a mapping; null counts as an empty one."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ValueError(f"{place}: expected a mapping, got {show(value)}")
    return value
