"""Query images with their nearest neighbours, for a page."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from gcahng.data import ImageDataset
from gcahng.pages import data_uri

# Pictures are shown at about 110 px; twice that keeps them sharp on high-resolution screens.
SMALLEST, LARGEST = 96, 160
WORDS = {"query": "query", "found": "neighbour", "right": "same class", "wrong": "other class"}

Names = Sequence[str] | Mapping[int, str]


@dataclass(frozen=True)
class GalleryEntry:
    """One image of a row.

    Attributes:
        kind: `query`, `right` (same class as the query), `wrong`, or `found` (class not compared).
        name: Of its class.
        caption: "query", or a mark and the cosine similarity.
        source: The image as a `data:` URI.
    """

    kind: str
    name: str
    caption: str
    source: str

    @property
    def words(self) -> str:
        """The kind as a reader without the picture needs it."""
        return WORDS[self.kind]


class RawImages:
    """The images of a data set without its transform, by index."""

    def __init__(self, dataset: ImageDataset) -> None:
        self.dataset = dataset

    def __getitem__(self, index: int) -> object:
        return self.dataset.load(index)


def retrieval_gallery(
    images: Any,
    labels: Tensor,
    class_names: Names,
    similarities: Tensor,
    indices: Tensor,
    queries: Tensor,
    *,
    count: int = 8,
) -> list[list[GalleryEntry]]:
    """Put queries and their nearest neighbours into rows: right ones get a ✓, wrong ones a ✗.

    Args:
        images: Indexed by row number; gives PIL images or tensors [C, H, W] (grey or RGB, uint8 or
            float in [0, 1]; floats outside that range are rescaled to it). Only the images shown
            are asked for.
        labels: Class of every image, integers [N].
        class_names: Name of each class by label; a class without one is shown by its number.
        similarities: Cosine similarity of each neighbour, [Q, k].
        indices: Row number of each neighbour, [Q, k].
        queries: Row number of each query, [Q].
        count: Number of queries to show, spread evenly over the queries: half of them with a wrong
            first neighbour and half with a right one, if there are enough of each. Default 8.

    Returns:
        One list for each query: the query itself, then its k neighbours, the nearest first.
    """
    labels, indices, queries = labels.cpu(), indices.cpu(), queries.cpu()
    right = labels[indices] == labels[queries][:, None]
    names = class_names if isinstance(class_names, Mapping) else dict(enumerate(class_names))

    def entry(kind: str, index: int, caption: str) -> GalleryEntry:
        file = io.BytesIO()
        picture(images[index]).save(file, format="PNG", optimize=True)
        label = int(labels[index])
        name = str(names.get(label, f"class {label}"))
        return GalleryEntry(kind, name, caption, data_uri(file.getvalue(), "image/png"))

    rows = []
    for i in _mixture(right[:, 0], count):
        row = [entry("query", int(queries[i]), "query")]
        for index, similarity, is_right in zip(indices[i], similarities[i], right[i], strict=True):
            kind, mark = ("right", "✓") if is_right else ("wrong", "✗")
            row.append(entry(kind, int(index), f"{mark} {similarity:.3f}"))
        rows.append(row)
    return rows


def picture(image: Image.Image | Tensor) -> Image.Image:
    """Turn an image of any accepted kind into a PIL image of about the size it is shown at.

    Args:
        image: A PIL image or a tensor [C, H, W] with 1 or 3 channels.

    Returns:
        Mode L or RGB; tiny images are enlarged by a whole factor, so that pixels stay square.

    >>> picture(torch.zeros(1, 2, 3)).size
    (96, 64)
    """
    if isinstance(image, Tensor):
        image = _from_tensor(image)
    image = image.convert("L" if image.mode in ("1", "L") else "RGB")
    longest = max(image.size)
    if longest < SMALLEST:
        factor = -(-SMALLEST // longest)
        size = (image.width * factor, image.height * factor)
        return image.resize(size, Image.Resampling.NEAREST)
    image.thumbnail((LARGEST, LARGEST), Image.Resampling.LANCZOS)
    return image


def _from_tensor(image: Tensor) -> Image.Image:
    image = image.detach().cpu()
    if image.is_floating_point():
        image = image.float().nan_to_num()
        low, high = image.amin(), image.amax()
        if low < 0 or high > 1:
            # Normalised for a network: map its own range to [0, 1].
            image = (image - low) / (high - low).clamp(min=1e-12)
        image = (image * 255).round()
    array = image.clamp(0, 255).to(torch.uint8).permute(1, 2, 0).numpy()
    return Image.fromarray(array[:, :, 0] if array.shape[2] == 1 else array)


def _mixture(succeeded: Tensor, count: int) -> list[int]:
    """Positions of up to `count` queries, in order: half failed, half succeeded where possible."""
    failures, successes = (~succeeded).nonzero()[:, 0], succeeded.nonzero()[:, 0]
    failed = min(len(failures), max(count // 2, count - len(successes)))
    chosen = [_spread(failures, failed), _spread(successes, min(len(successes), count - failed))]
    return sorted(torch.cat(chosen).tolist())


def _spread(positions: Tensor, count: int) -> Tensor:
    """Take `count` of the positions, evenly spaced."""
    return positions[torch.arange(count) * len(positions) // max(count, 1)]
