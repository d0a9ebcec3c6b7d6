"""A grid: its seeds and its cells, each with a complete, checked experiment."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gcahng.ablation.changes import changed_settings
from gcahng.ablation.grid_file import (
    EqualTime,
    GridFile,
    Plan,
    nested,
    plan_cells,
    read_file,
)
from gcahng.builders.blame import blame_setting
from gcahng.builders.image_settings import adopt_image_settings
from gcahng.builders.networks import build_generator, build_loss
from gcahng.config import ExperimentConfig
from gcahng.config.layers import EXPERIMENTS, GRIDS, find_config, load_layers, validate
from gcahng.errors import did_you_mean
from gcahng.models import BACKBONES
from gcahng.runs.record import Split


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
        title: Heading of the report.
        reference: Name of the cell that the others are compared with.
        seeds: Every cell is trained with each of these.
        split: Split whose figures are reported.
        cells: By name.
        show: Name of the cell whose first run the HTML page shows with pictures; None for none.
        note: A sentence below the table, or None.
    """

    source: str
    name: str
    title: str
    reference: str
    seeds: range
    split: Split
    cells: dict[str, Cell]
    show: str | None = None
    note: str | None = None

    @property
    def folder(self) -> Path:
        """Where the runs go, and by default the results."""
        return Path(self.cells[self.reference].config.output) / "ablations" / self.name

    def changes(self, cell: Cell) -> list[str]:
        """Settings in which the cell's experiment differs from the reference's, as `key=value`."""
        config, reference = cell.config, self.cells[self.reference]
        alike: dict[str, Any] = {"name": reference.config.name}
        if cell.equal_time:
            alike["train"] = reference.config.train
        changes = changed_settings(config.model_copy(update=alike), reference.config)
        if cell.equal_time:
            changes.append(f"as long as {cell.equal_time.as_long_as}")
        return changes


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
    found = _find(path)
    source = shown_path(found)
    file = read_file(found, source)
    plans = plan_cells(file, source)
    mistakes = Mistakes(len(plans))
    cells = {}
    for name, plan in plans.items():
        with mistakes.of(name):
            config = _resolve(name, plan, file, found, source)
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
    title = file.title or found.stem
    return Grid(
        source,
        found.stem,
        title,
        file.reference,
        numbers,
        file.split,
        cells,
        file.show,
        file.note,
    )


def _find(path: str | Path) -> Path:
    try:
        return find_config(path)
    except FileNotFoundError:
        grids = [f"{GRIDS}/{file.stem}" for file in sorted((EXPERIMENTS / GRIDS).glob("*.yaml"))]
        hint = did_you_mean(str(path), grids)
        raise FileNotFoundError(
            f"no grid file {str(path)!r}{hint}; packaged: {', '.join(grids)}"
        ) from None


class Mistakes:
    """Error sentences, each with the cells that it applies to.

    Args:
        cells: How many cells there are.
        kind: What to call them.
    """

    def __init__(self, cells: int, kind: str = "cell") -> None:
        self.cells, self.kind = cells, kind
        self.found: dict[str, list[str]] = {}

    @contextmanager
    def of(self, cell: str) -> Iterator[None]:
        """Collect the errors of this cell that a user can correct."""
        try:
            yield
        except (ValueError, FileNotFoundError, ImportError) as error:
            for line in str(error).splitlines():
                self.found.setdefault(line, []).append(cell)

    def report(self) -> None:
        """Raise all errors as one, if there are any."""
        lines = []
        for sentence, cells in self.found.items():
            named = ", ".join(map(repr, cells))
            whole = len(cells) == self.cells > 1
            plural = "s" * (len(cells) > 1)
            who = f"every {self.kind}" if whole else f"{self.kind}{plural} {named}"
            lines.append(f"{who}: {sentence}")
        if lines:
            raise ValueError("\n".join(lines))


def _resolve(name: str, plan: Plan, file: GridFile, grid: Path, source: str) -> ExperimentConfig:
    """Return a cell's experiment."""
    layers, _ = load_layers(find_base(plan.base, grid, source))
    for place, settings in (("settings", file.settings), *plan.layers):
        for key in {"name", "seed"} & settings.keys():
            raise ValueError(f"{source}: {place}.{key}: the grid gives each run its {key}")
        layers.add(nested(settings, layers.values, f"{source}: {place}"), source)
    layers.add({"name": name, "seed": file.first_seed}, source)
    config = validate(ExperimentConfig, layers)
    check_parts(config)
    return adopt_image_settings(config)


def find_base(base: str, grid: Path, source: str) -> Path:
    """Find the experiment that a grid's file names: beside it, or packaged."""
    beside = grid.parent / base
    if beside.is_file():
        return beside
    try:
        return find_config(base)
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{source}: base: {error}") from None


def check_parts(config: ExperimentConfig) -> None:
    """Build the components that need no data, as if a batch had all classes."""
    with blame_setting("embedder.backbone.name"):
        BACKBONES.find(config.embedder.backbone.name)
    build_loss(config, config.batch.classes)
    build_generator(config, config.batch.classes)


def shown_path(path: Path) -> str:
    """The path as a user would write it: relative, or the name of a packaged file."""
    here = Path.cwd()
    if path.is_relative_to(here):
        return str(path.relative_to(here))
    if path.is_relative_to(EXPERIMENTS):
        return path.relative_to(EXPERIMENTS).with_suffix("").as_posix()
    return str(path)
