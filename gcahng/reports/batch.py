"""One batch of a run's data as the graph that its trained generator sees."""

from itertools import islice
from typing import TYPE_CHECKING

import torch
from PIL import Image, ImageOps
from torch import Tensor
from torchvision.transforms.v2.functional import pil_to_tensor

from gcahng.config import ExperimentConfig
from gcahng.data import ClassBalancedBatchSampler, ImageDataset
from gcahng.generators import HardNegativeGenerator, NegativeGenerator
from gcahng.graph import batch_graph, batch_layout
from gcahng.graph.precision import half_to_float32
from gcahng.graph.visualize import learned_graph
from gcahng.reports.gallery import picture
from gcahng.runs.loading import LoadedRun

if TYPE_CHECKING:
    # Imported before `gcahng.graph`, which filters it, PyG would print a warning.
    from torch_geometric.data import Data

# Pixels of a thumbnail's longer side.
THUMBNAIL = 64


def choose_batch(
    config: ExperimentConfig,
    dataset: ImageDataset,
    number: int = 0,
    classes: int | None = None,
    samples: int | None = None,
) -> list[int]:
    """Choose a class-balanced batch in which no image is repeated, as rows `[P·S]`."""
    counts = dataset.labels.bincount()
    # The most images that at least two classes have.
    enough = int(counts.sort(descending=True).values[1])
    each = samples or min(config.batch.samples, enough)
    if each > enough:
        raise ValueError(f"--samples: expected at most the {enough} that two classes have")
    eligible = (counts >= each).nonzero().flatten()
    sampled = classes or min(config.batch.classes, len(eligible))
    if sampled > len(eligible):
        raise ValueError(
            f"--classes: expected at most the {len(eligible)} that have {each} images each"
        )
    rows = torch.isin(dataset.labels, eligible).nonzero().flatten()
    sampler = ClassBalancedBatchSampler(dataset.labels[rows], sampled, each, config.seed)
    if not 0 <= number < len(sampler):
        raise ValueError(f"--batch: expected 0 to {len(sampler) - 1}, got {number}")
    return rows[next(islice(sampler, number, None))].tolist()


@torch.no_grad()
def learned_batch(
    run: LoadedRun, generator: NegativeGenerator | None, dataset: ImageDataset, rows: list[int]
) -> "Data":
    """Embed a batch of a split's rows, and run the graph network and the generator on it.

    Returns:
        A graph on the CPU with its nodes in slot-major order: `batch_graph` with `image`
        [B, 3, 64, 64] uint8 thumbnails, `name` of each node's class and `row` in the data set. A
        graph network adds what `learned_graph` lists, a generator adds `negatives` [P, S, S, D].
        The same run and rows give the same negatives.
    """
    layout = batch_layout(dataset.labels[rows])
    rows = [rows[place] for place in layout.order.tolist()]
    parameter = next(run.embedder.parameters())
    images = torch.stack([dataset[row][0] for row in rows])
    embeddings = half_to_float32(run.embedder(images.to(parameter.device, parameter.dtype)))
    layout = batch_layout(layout.labels).to(parameter.device)
    slots = (
        layout.slots(embeddings) if generator is None else generator.to_slots(embeddings, layout)
    )
    graph = batch_graph(slots.flatten(0, 1), layout.labels)
    if isinstance(generator, HardNegativeGenerator):
        graph = learned_graph(generator.graph, graph)
    if generator is not None:
        devices = [] if parameter.device.type == "cpu" else [parameter.device]
        with torch.random.fork_rng(devices):
            torch.manual_seed(run.config.seed)
            made = generator.make_negatives(slots, layout, None)
        if made is not None:
            graph.negatives = generator.normalize_if_configured(made.negatives)
    graph = graph.to("cpu")
    graph.image = torch.stack([thumbnail(dataset.load(row)) for row in rows])
    graph.name = [dataset.classes[label] for label in graph.y.tolist()]
    graph.row = torch.tensor(rows)
    return graph


def thumbnail(image: Image.Image | Tensor) -> Tensor:
    """Fit an image of any size into the middle of a white square, [3, 64, 64] uint8."""
    small, size = picture(image).convert("RGB"), (THUMBNAIL, THUMBNAIL)
    return pil_to_tensor(ImageOps.pad(small, size, Image.Resampling.LANCZOS, "white"))
