"""Query images with their nearest neighbours, for a page."""

import io
from dataclasses import dataclass

import torch
from PIL import Image, ImageOps
from torch import Tensor
from torchvision.transforms.v2.functional import to_pil_image

from gcahng.data import ImageDataset
from gcahng.evaluation.evaluate import Nearest
from gcahng.pages import data_uri

# Pictures are shown at about 110 px; twice that keeps them sharp on high-resolution screens.
SMALLEST, LARGEST = 96, 160


@dataclass(frozen=True)
class GalleryEntry:
    """An image of a row, as a `data:` URI, with the name of its class and a caption.

    Its kind is `query`, `right` (same class as the query), `wrong`, or `found` (not compared).
    """

    kind: str
    name: str
    caption: str
    source: str


def retrieval_gallery(
    dataset: ImageDataset, found: Nearest, count: int = 8
) -> list[list[GalleryEntry]]:
    """Put queries and their nearest neighbours into rows: right ones get a ✓, wrong ones a ✗.

    The queries are spread evenly over all: half of them with a wrong first neighbour and half with
    a right one, if there are enough of each.
    """
    labels = dataset.labels.cpu()
    right = labels[found.indices] == labels[found.queries][:, None]

    def entry(kind: str, index: int, caption: str) -> GalleryEntry:
        file = io.BytesIO()
        picture(dataset.load(index)).save(file, format="PNG", optimize=True)
        name = str(dataset.classes[labels[index]])
        return GalleryEntry(kind, name, caption, data_uri(file.getvalue(), "image/png"))

    rows = []
    for i in _mixture(right[:, 0], count):
        row = [entry("query", int(found.queries[i]), "query")]
        for index, similarity, is_right in zip(
            found.indices[i], found.similarities[i], right[i], strict=True
        ):
            kind, mark = ("right", "✓") if is_right else ("wrong", "✗")
            row.append(entry(kind, int(index), f"{mark} {similarity:.3f}"))
        rows.append(row)
    return rows


def picture(image: Image.Image | Tensor) -> Image.Image:
    """Turn an image into a PIL image, L or RGB, of about the size it is shown at."""
    if isinstance(image, Tensor):
        whole = (255 * image).round().clamp(0, 255) if image.is_floating_point() else image
        return picture(to_pil_image(whole.to(torch.uint8)))
    shown = image.convert("L" if image.mode in ("1", "L") else "RGB")
    longest = max(shown.size)
    if longest < SMALLEST:
        return ImageOps.scale(shown, -(-SMALLEST // longest), Image.Resampling.NEAREST)
    shown.thumbnail((LARGEST, LARGEST), Image.Resampling.LANCZOS)
    return shown


def _mixture(succeeded: Tensor, count: int) -> list[int]:
    """Positions of up to `count` queries, in order: half failed, half succeeded where possible."""
    failures, successes = (~succeeded).nonzero()[:, 0], succeeded.nonzero()[:, 0]
    failed = min(len(failures), max(count // 2, count - len(successes)))
    chosen = [_spread(failures, failed), _spread(successes, min(len(successes), count - failed))]
    return sorted(torch.cat(chosen).tolist())


def _spread(positions: Tensor, count: int) -> Tensor:
    """Take `count` of the positions, evenly spaced."""
    return positions[torch.arange(count) * len(positions) // max(count, 1)]
