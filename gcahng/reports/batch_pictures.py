"""Pictures of one batch of a run: what the graph learned on it, and where its negatives are."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from matplotlib.figure import Figure

from gcahng.builders.images import open_plain
from gcahng.config import ExperimentConfig
from gcahng.data import ImageDataset
from gcahng.graph.visualize import draw_coefficients, draw_distances, draw_graph, draw_negatives
from gcahng.reports.batch import choose_batch, learned_batch
from gcahng.runs.embedding import load_generator
from gcahng.runs.loading import LoadedRun

if TYPE_CHECKING:
    from torch_geometric.data import Data

TITLES = {
    "graph": "Batch graph",
    "coefficients": "Channel coefficients",
    "negatives": "Synthetic negatives",
    "distances": "Hardness of this batch",
}

DRAW: dict[str, Callable[["Data"], Figure]] = {
    "graph": draw_graph,
    "coefficients": draw_coefficients,
    "negatives": draw_negatives,
    "distances": draw_distances,
}


@dataclass(frozen=True)
class Pictures:
    """The pictures of one batch by name, see `TITLES`; those that are missing, and why."""

    dataset: ImageDataset
    graph: "Data"
    title: str
    figures: Mapping[str, Figure]
    missing: Mapping[str, str]


def draw_batch(
    run: LoadedRun,
    split: str = "test",
    batch: int = 0,
    classes: int | None = None,
    samples: int | None = None,
    dataset: ImageDataset | None = None,
) -> Pictures:
    """Draw every picture that the run has data for, of one batch of a split."""
    generator = load_generator(run)
    dataset = dataset or open_plain(run.config, split)
    rows = choose_batch(run.config, dataset, batch, classes, samples)
    usable = split == "train" or generator is None or not generator.has_memory_bank
    graph = learned_batch(run, generator if usable else None, dataset, rows)
    missing = _missing(run.config, graph, usable)
    figures = {name: DRAW[name](graph) for name in TITLES if name not in missing}
    epoch = "" if run.epoch is None else f", epoch {run.epoch}"
    title = (
        f"{run.config.name}, seed {run.config.seed}{epoch}: batch {batch} of the "
        f"{split} split of {run.config.data.name}"
    )
    return Pictures(dataset, graph, title, figures, missing)


def _missing(config: ExperimentConfig, graph: "Data", usable: bool) -> dict[str, str]:
    """Why the batch has no data for pictures; `usable` is the generator on the batch's split."""
    generator = "no generator" if config.generator is None else f"generator {config.generator.name}"
    missing = {}
    if graph.get("coefficients") is None:
        missing["coefficients"] = f"the run has {generator}, so it has no coefficients"
    if graph.get("negatives") is None:
        reason = "so it has no negatives" if usable else "which only works on training classes"
        hint = "" if usable else ": --split train"
        for name in ("negatives", "distances"):
            missing[name] = f"the run has {generator}, {reason}{hint}"
    return missing
