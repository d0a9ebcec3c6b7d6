"""Pictures of one batch of a run: what the graph learned on it, and where the negatives land."""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from matplotlib.figure import Figure
from rich.console import Console

from data import ImageDataset
from gcahng.config import ExperimentConfig, with_data_root
from gcahng.files import atomic_write, write_text
from gcahng.loading import LoadedRun, load_generator, load_run
from gcahng.projector import log_pictures
from gcahng.run_batch import choose_batch, learned_batch, open_plain
from gcahng.run_folder import RunFolder
from graph.visualize import (
    draw_coefficients,
    draw_distances,
    draw_graph,
    draw_hardness,
    draw_matrices,
    draw_negatives,
    graph_page,
    write_graph,
)
from graph.visualize.export import WRITERS

if TYPE_CHECKING:
    from torch_geometric.data import Data

# Dots per inch of the files.
RESOLUTION = 130
TITLES = {
    "graph": "Batch graph",
    "matrices": "Correlation and attention",
    "coefficients": "Channel coefficients",
    "negatives": "Synthetic negatives",
    "distances": "Hardness of this batch",
    "hardness": "Hardness through training",
}


@dataclass(frozen=True)
class Selection:
    """Which batch to look at, and how: the options of the command."""

    split: str = "test"
    batch: int = 0
    classes: int | None = None
    samples: int | None = None
    layer: int | None = None
    head: int | None = None
    strongest: int = 3


@dataclass(frozen=True)
class Pictures:
    """What there is to see of one batch.

    Attributes:
        run: Whose.
        dataset: What the batch is of.
        graph: The batch.
        title: Run, epoch, split and batch in words.
        figures: By name, see `TITLES`.
        missing: Why another one is not there, by name.
    """

    run: LoadedRun
    dataset: ImageDataset
    graph: "Data"
    title: str
    figures: Mapping[str, Figure]
    missing: Mapping[str, str]


def visualize_run(
    source: Path,
    selection: Selection,
    console: Console,
    *,
    last: bool = False,
    root: Path | None = None,
    out: Path | None = None,
    export: Sequence[str] = (),
    tensorboard: bool = False,
) -> None:
    """Write the pictures, the interactive page and what else is asked for of one batch.

    Args:
        source: A run folder or a checkpoint.
        selection: The batch.
        console: Where to say what was written.
        last: The run's last epoch, not its best.
        root: Folder of all data sets, if it is not that of the training.
        out: Folder to write into; default `visualize` in the run's.
        export: Formats to write the graph in: `graphml`, `gexf`.
        tensorboard: Put figures and embeddings into the run's TensorBoard.

    Raises:
        ValueError: If the run, the split, the batch, the layer or the format is not there.
    """
    for kind in export:
        if kind not in WRITERS:
            raise ValueError(f"--export: expected {' or '.join(WRITERS)}, got {kind!r}")
    start = time.perf_counter()
    folder = RunFolder(source if source.is_dir() else source.parent.parent)
    pictures = draw_batch(source, selection, folder.hardness, last=last, root=root)
    target = out or folder.path / "visualize"
    for name, figure in pictures.figures.items():
        with atomic_write(target / f"{name}.png") as temporary:
            figure.savefig(temporary, dpi=RESOLUTION)
    if out is None:
        # What an earlier call has drawn of another batch would pass for one of this.
        for name in pictures.missing:
            (target / f"{name}.png").unlink(missing_ok=True)
    links = {TITLES[name]: f"{name}.png" for name in pictures.figures}
    if out is None and folder.report.is_file():
        links["Report of the run"] = f"../{folder.report.name}"
    page = graph_page(pictures.graph, title=pictures.title, links=links)
    write_text(target / "graph.html", page)
    for kind in export:
        with atomic_write(target / f"graph.{kind}") as temporary:
            write_graph(pictures.graph, temporary)
    if tensorboard:
        events = folder.path / "tensorboard"
        log_pictures(events, pictures.run, pictures.dataset, pictures.figures)
    _tell(pictures, target, time.perf_counter() - start, console)


def draw_batch(
    source: Path,
    selection: Selection,
    hardness: Path,
    *,
    last: bool = False,
    root: Path | None = None,
) -> Pictures:
    """Draw all pictures that the run has something to show on; arguments as `visualize_run`.

    Args:
        source: A run folder or a checkpoint.
        selection: The batch.
        hardness: The run's file of that name; it need not exist.
        last: As in `visualize_run`.
        root: As in `visualize_run`.
    """
    run = load_run(source, last=last)
    if root is not None:
        run = LoadedRun(run.path, with_data_root(run.config, root), run.embedder, run.epoch)
    generator, dataset = load_generator(run), open_plain(run.config, selection.split)
    rows = choose_batch(run.config, dataset, selection.batch, selection.classes, selection.samples)
    remembers = generator is not None and generator.remembers_classes
    usable = selection.split == "train" or not remembers
    graph = learned_batch(run, generator if usable else None, dataset, rows)
    missing = _missing(run.config, graph, usable)
    if not hardness.is_file():
        missing["hardness"] = "training has kept no figures of it"
    weights: dict[str, Any] = {"layer": selection.layer, "head": selection.head}
    draw: dict[str, Callable[[], Figure]] = {
        "graph": lambda: draw_graph(graph, strongest=selection.strongest, **weights),
        "matrices": lambda: draw_matrices(graph),
        "coefficients": lambda: draw_coefficients(graph),
        "negatives": lambda: draw_negatives(graph),
        "distances": lambda: draw_distances(graph),
        "hardness": lambda: draw_hardness(json.loads(hardness.read_text(encoding="utf-8"))),
    }
    figures = {name: draw[name]() for name in TITLES if name not in missing}
    return Pictures(run, dataset, graph, _title(run, selection), figures, missing)


def _missing(config: ExperimentConfig, graph: "Data", usable: bool) -> dict[str, str]:
    """Which pictures a batch has nothing to show on, and why.

    Args:
        config: The run's.
        graph: The batch.
        usable: Whether the generator works on classes of this split.
    """
    generator = "no generator" if config.generator is None else f"generator {config.generator.name}"
    missing = {}
    if graph.get("coefficients") is None:
        missing["coefficients"] = f"the run has {generator}, so none are learned"
    if graph.get("negatives") is None:
        reason = "so none are made" if usable else "which makes them of training classes only"
        hint = "" if usable else ": --split train"
        for name in ("negatives", "distances"):
            missing[name] = f"the run has {generator}, {reason}{hint}"
    return missing


def _title(run: LoadedRun, selection: Selection) -> str:
    epoch = "" if run.epoch is None else f", epoch {run.epoch}"
    config = run.config
    return (
        f"{config.name}, seed {config.seed}{epoch}: batch {selection.batch} of the "
        f"{selection.split} split of {config.data.name}"
    )


def _tell(pictures: Pictures, target: Path, seconds: float, console: Console) -> None:
    """Say what there is now, and what not."""
    lines = [pictures.title]
    lines += [f"  {target / name}.png: {TITLES[name]}" for name in pictures.figures]
    lines += [f"  left out {name}.png: {reason}" for name, reason in pictures.missing.items()]
    lines.append(f"  {target / 'graph.html'}: the batch graph to look around in")
    lines.append(f"{pictures.graph.x.size(0)} nodes, {seconds:.1f} s")
    for line in lines:
        console.print(line, soft_wrap=True, highlight=False, markup=False)
