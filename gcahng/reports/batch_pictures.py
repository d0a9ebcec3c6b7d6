"""Pictures of one batch of a run: what the graph learned on it, and where the negatives land."""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from matplotlib.figure import Figure
from rich.console import Console

from gcahng.config import ExperimentConfig, with_data_root
from gcahng.data import ImageDataset
from gcahng.files import atomic_write, write_text
from gcahng.graph.visualize import (
    draw_coefficients,
    draw_distances,
    draw_graph,
    draw_hardness,
    draw_matrices,
    draw_negatives,
    graph_page,
    write_graph,
)
from gcahng.graph.visualize.export import WRITERS
from gcahng.reports.batch import choose_batch, learned_batch, open_plain
from gcahng.reports.tensorboard import log_pictures
from gcahng.runs.folder import RunFolder
from gcahng.runs.loading import LoadedRun, load_generator, load_run

if TYPE_CHECKING:
    from torch_geometric.data import Data

# Dots per inch of the files.
RESOLUTION = 130
PROGRAMS = {"graphml": "Gephi, yEd and the like", "gexf": "Gephi"}
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
    start = time.perf_counter()
    folder = _check_options(source, selection, out, export, tensorboard)
    pictures = draw_batch(source, selection, folder, last=last, root=root)
    links = {TITLES[name]: f"{name}.png" for name in pictures.figures}
    if out is None and folder is not None and folder.report.is_file():
        links["Report of the run"] = f"../{folder.report.name}"
    # Whatever may fail comes before the first file is written.
    page = graph_page(pictures.graph, title=pictures.title, links=links)
    target = out or (RunFolder(source) if folder is None else folder).visualize
    for name, figure in pictures.figures.items():
        with atomic_write(target / f"{name}.png") as temporary:
            figure.savefig(temporary, dpi=RESOLUTION)
    if out is None:
        # What an earlier call has drawn of another batch would pass for one of this.
        for name in pictures.missing:
            (target / f"{name}.png").unlink(missing_ok=True)
    write_text(target / "graph.html", page)
    for kind in export:
        with atomic_write(target / f"graph.{kind}") as temporary:
            write_graph(pictures.graph, temporary)
    told = [f"{target / 'graph'}.{kind}: for {PROGRAMS[kind]}" for kind in export]
    if tensorboard and folder is not None:
        log_pictures(folder.tensorboard, pictures.run, pictures.dataset, pictures.figures)
        told.append(f"{folder.tensorboard}: figures and embeddings; tensorboard --logdir …")
    _tell(pictures, target, told, time.perf_counter() - start, console)


def _check_options(
    source: Path, selection: Selection, out: Path | None, export: Sequence[str], tensorboard: bool
) -> RunFolder | None:
    """See that the options fit each other; return the run that `source` belongs to, if any."""
    for kind in export:
        if kind not in WRITERS:
            raise ValueError(f"--export: expected {' or '.join(WRITERS)}, got {kind!r}")
    if selection.head is not None and selection.layer is None:
        raise ValueError("--head: it needs --layer, whose attention is to be drawn")
    if out is not None and out.exists() and not out.is_dir():
        raise ValueError(f"--out: '{out}' is a file: name a folder")
    within = RunFolder(source.parent.parent)
    of_run = source.parent == within.last.parent and within.config.is_file()
    # What is missing is told by whoever opens it.
    if source.is_dir() or not source.exists() or of_run:
        return within if of_run else RunFolder(source)
    if out is None or tensorboard:
        raise ValueError(
            f"'{source}' lies in no run folder: name one for the pictures with --out"
            + (", and leave out --tensorboard" if tensorboard else "")
        )
    return None


def draw_batch(
    source: Path,
    selection: Selection,
    folder: RunFolder | None,
    *,
    last: bool = False,
    root: Path | None = None,
) -> Pictures:
    """Draw all pictures that the run has something to show on; arguments as `visualize_run`.

    Args:
        source: A run folder or a checkpoint.
        selection: The batch.
        folder: The run that the source belongs to.
        last: As in `visualize_run`.
        root: As in `visualize_run`.
    """
    run = load_run(source, last=last)
    if root is not None:
        run = LoadedRun(run.path, with_data_root(run.config, root), run.embedder, run.epoch)
    generator, dataset = load_generator(run), open_plain(run.config, selection.split)
    rows = choose_batch(run.config, dataset, selection.batch, selection.classes, selection.samples)
    remembers = generator is not None and generator.has_memory_bank
    usable = selection.split == "train" or not remembers
    graph = learned_batch(run, generator if usable else None, dataset, rows)
    missing = _missing(run.config, graph, usable)
    _check_attention(graph, selection)
    if folder is None or not folder.hardness.is_file():
        missing["hardness"] = "training has kept no figures of it"
    weights: dict[str, Any] = {"layer": selection.layer, "head": selection.head}
    draw: dict[str, Callable[[], Figure]] = {
        "graph": lambda: draw_graph(graph, strongest=selection.strongest, **weights),
        "matrices": lambda: draw_matrices(graph),
        "coefficients": lambda: draw_coefficients(graph),
        "negatives": lambda: draw_negatives(graph),
        "distances": lambda: draw_distances(graph),
        "hardness": lambda: draw_hardness(_hardness(folder)),
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


def _check_attention(graph: "Data", selection: Selection) -> None:
    """See that the graph has the layer and the head whose attention is asked for."""
    layer, head, attention = selection.layer, selection.head, graph.get("attention") or []
    if layer is None:
        return
    if not attention:
        raise ValueError("--layer: the run has no graph network with layers")
    if layer > len(attention):
        raise ValueError(f"--layer: expected 1 to {len(attention)}, got {layer}")
    weights = attention[layer - 1]
    if weights is None:
        raise ValueError(f"--layer: layer {layer} has no attention")
    if head is not None and head > weights.size(1):
        raise ValueError(f"--head: expected 1 to {weights.size(1)}, got {head}")


def _hardness(folder: RunFolder | None) -> list[dict[str, Any]]:
    assert folder is not None
    return json.loads(folder.hardness.read_text(encoding="utf-8"))


def _title(run: LoadedRun, selection: Selection) -> str:
    epoch = "" if run.epoch is None else f", epoch {run.epoch}"
    config = run.config
    return (
        f"{config.name}, seed {config.seed}{epoch}: batch {selection.batch} of the "
        f"{selection.split} split of {config.data.name}"
    )


def _tell(
    pictures: Pictures, target: Path, more: Sequence[str], seconds: float, console: Console
) -> None:
    """Say what there is now, and what not."""
    lines = [pictures.title]
    lines += [f"  {target / name}.png: {TITLES[name]}" for name in pictures.figures]
    lines += [f"  left out {name}.png: {reason}" for name, reason in pictures.missing.items()]
    lines.append(f"  {target / 'graph.html'}: the batch graph to look around in")
    lines += [f"  {line}" for line in more]
    lines.append(f"{pictures.graph.x.size(0)} nodes, {seconds:.1f} s")
    for line in lines:
        console.print(line, soft_wrap=True, highlight=False, markup=False)
