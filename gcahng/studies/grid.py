"""A grid: its file, its seeds and its cells, each with a complete, checked experiment."""

from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from gcahng.config import ExperimentConfig
from gcahng.config.layers import GRIDS
from gcahng.config.sections import MOST_SEEDS, Args, Section
from gcahng.files import file_name
from gcahng.registry import lookup
from gcahng.runs.record import Split
from gcahng.studies.experiments import (
    SharedKeys,
    changed_settings,
    check_held_out,
    complete,
    find_base,
    merge_settings,
    named_errors,
    read_file,
)


class EqualTime(Section):
    """One experiment, trained for as long as another one took."""

    of: str
    """Name of the cell whose experiment is trained."""
    as_long_as: str = Field(alias="as")
    """Name of the cell whose training time it gets."""


class GridFile(SharedKeys):
    """The keys of a grid file."""

    seeds: Annotated[int, Field(ge=1, le=MOST_SEEDS)] = 5
    """How many seeds each cell is trained with."""
    reference: str
    """The cell that all others are compared with."""
    split: Split = "test"
    """Split whose figures are reported; `val`, the held-out training classes, to tune on."""
    note: str | None = None
    """A sentence to put below the table."""
    cells: dict[str, Args | None] = Field(default_factory=dict)
    """Settings by the cell's name; with `base` among them, of another experiment."""
    axes: dict[str, dict[str, Args | None]] = Field(default_factory=dict)
    """Settings by label, by axis; every combination of labels is a cell, such as `gca-npair`."""
    equal_time: dict[str, EqualTime] = Field(default_factory=dict)
    """`{of: A, as: B}` by the cell's name: A, trained for as long as B took with the same seed."""


@dataclass(frozen=True)
class Cell:
    """One row of the comparison: an experiment, with the first seed.

    One of equal time is trained for as long as another cell took, in whole epochs.
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
    """Experiments that are compared over some seeds, and the file that they are from."""

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
        changes = changed_settings(config, reference)
        return changes + ([f"as long as {cell.equal_time.as_long_as}"] if cell.equal_time else [])


def read_grid(path: str | Path, seeds: int | None = None) -> Grid:
    """Read a grid and check every cell of it.

    Args:
        path: A YAML file, or the bare name of a packaged one such as `ablations/generators`.
        seeds: How many seeds; default as in the file.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If anything in it is wrong.

    >>> grid = read_grid("ablations/depth", seeds=2)
    >>> grid.reference, grid.seeds, len(grid.cells)
    ('1 layer', range(0, 2), 7)
    """
    found, source, file = read_file(path, GRIDS, "grid", GridFile)
    cells: dict[str, Cell] = {}
    for name, (base, parts, equal_time) in _plan_cells(file, source).items():
        with named_errors(f"cell {name!r}"):
            parts = (("settings", file.settings), *parts)
            config = merge_settings(
                find_base(base, found, source), parts, name, file.first_seed, source
            )
            if file.split == "val":
                check_held_out(config, f"{source}: split: 'val'")
            cells[name] = Cell(name, config, equal_time)
            for other in cells[name].waits_for:
                if not cells[other].config.train.epochs:
                    raise ValueError(f"'{other}' takes no time: train.epochs is 0")
    for name, cell in cells.items():
        with named_errors(f"cell {name!r}"):
            cells[name] = replace(cell, config=complete(cell.config))
    numbers = range(file.first_seed, file.first_seed + (seeds or file.seeds))
    return Grid(source, found.stem, file, numbers, cells)


#: The base of a cell's experiment, settings with their places, and the cells that it depends on.
_Plan = tuple[str, tuple[tuple[str, Args], ...], EqualTime | None]


def _plan_cells(file: GridFile, source: str) -> dict[str, _Plan]:
    """List all cells: the named ones, the combinations of the axes, those of equal time."""
    plans: dict[str, _Plan] = {}

    def add(name: str, plan: _Plan) -> None:
        if file_name(name) in map(file_name, plans):
            raise ValueError(
                f"{source}: two cells are called {name!r}: rename one, or a label of it"
            )
        plans[name] = plan

    def check_known(cells: dict[str, _Plan], name: str, place: str) -> None:
        try:
            lookup(cells, name, "cell")
        except ValueError as error:
            raise ValueError(f"{source}: {place}: {error}") from None

    for name, given in file.cells.items():
        settings = {**(given or {})}
        base = str(settings.pop("base", file.base))
        add(name, (base, ((f"cells.{name}", settings),), None))
    for chosen in product(*(labels.items() for labels in file.axes.values())) if file.axes else ():
        places = [
            f"axes.{axis}.{label}" for axis, (label, _) in zip(file.axes, chosen, strict=True)
        ]
        parts = tuple((p, settings or {}) for p, (_, settings) in zip(places, chosen, strict=True))
        add("-".join(label for label, _ in chosen), (file.base, parts, None))
    if not plans:
        raise ValueError(f"{source}: no cells: give 'cells', 'axes' or both")
    ordinary = dict(plans)
    for name, equal_time in file.equal_time.items():
        check_known(ordinary, equal_time.of, f"equal_time.{name}.of")
        check_known(ordinary, equal_time.as_long_as, f"equal_time.{name}.as")
        add(name, (*plans[equal_time.of][:2], equal_time))
    check_known(plans, file.reference, "reference")
    return plans
