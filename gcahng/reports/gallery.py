"""Queries with their nearest neighbours, as a piece of HTML that holds its own pictures."""

import base64
import io
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import torch
from PIL import Image
from torch import Tensor

# Pictures are shown at about 110 px; twice that keeps them sharp on fine screens.
SMALLEST, LARGEST = 96, 160

Names = Sequence[str] | Mapping[int, str]


def retrieval_gallery(
    images: Any,
    labels: Tensor,
    class_names: Names,
    similarities: Tensor,
    indices: Tensor,
    queries: Tensor,
    *,
    count: int = 8,
) -> str:
    """Lay out queries beside their neighbours: right ones green with ✓, wrong ones red with ✗.

    Args:
        images: anything indexed by row number that gives PIL images or tensors [C, H, W] (grey or
            RGB, uint8 or float in [0, 1]; floats outside that range are stretched into it). Only
            the images shown are asked for.
        labels: class of every image, integers [N].
        class_names: name of each class by label; a class without one is shown by its number.
        similarities: cosine similarity of each neighbour, [Q, k].
        indices: row number of each neighbour, [Q, k].
        queries: row number of each query, [Q].
        count: queries to show: half of them failed (their first neighbour is wrong) and half
            not, as far as there are, spread evenly over the queries.

    Returns:
        HTML for `write_report`.

    Raises:
        ValueError: shapes that do not fit together, or an image of an unknown kind.
    """
    if similarities.shape != indices.shape or indices.ndim != 2 or len(queries) != len(indices):
        raise ValueError(
            f"Expected 'similarities' and 'indices' as [{len(queries)}, k] tensors "
            f"(got {list(similarities.shape)} and {list(indices.shape)})"
        )
    labels, indices, queries = labels.cpu(), indices.cpu(), queries.cpu()
    right = labels[indices] == labels[queries][:, None]
    rows = []
    for position in _mixture(right[:, 0], count):
        query = int(queries[position])
        name = _class_name(class_names, int(labels[query]))
        cells = [_figure("query", name, "query", images[query])]
        neighbours = zip(
            indices[position].tolist(),
            similarities[position].tolist(),
            right[position].tolist(),
            strict=True,
        )
        for index, similarity, is_right in neighbours:
            kind, mark = ("right", "✓") if is_right else ("wrong", "✗")
            name = _class_name(class_names, int(labels[index]))
            cells.append(_figure(kind, name, f"{mark} {similarity:.3f}", images[index]))
        rows.append(f'<div class="neighbours">{"".join(cells)}</div>\n')
    return "".join(rows)


def picture(image: Image.Image | Tensor) -> Image.Image:
    """Turn an image of any accepted kind into a PIL image of about the size it is shown at.

    Args:
        image: a PIL image or a tensor [C, H, W] with 1 or 3 channels.

    Returns:
        Mode L or RGB; tiny images are enlarged by a whole factor, so that pixels stay squares.

    Raises:
        ValueError: another kind of image.
    """
    if isinstance(image, Tensor):
        image = _from_tensor(image)
    if not isinstance(image, Image.Image):
        raise ValueError(f"Expected a PIL image or a tensor [C, H, W] (got {type(image).__name__})")
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
    if image.ndim != 3 or image.shape[0] not in (1, 3) or not image.numel():
        raise ValueError(
            f"Expected an image tensor [C, H, W] with 1 or 3 channels (got {list(image.shape)})"
        )
    if image.is_floating_point():
        image = image.float().nan_to_num()
        low, high = image.amin(), image.amax()
        if low < 0 or high > 1:
            # Normalised for a network: show its range, whatever mean and deviation were.
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
    """Take `count` of the positions at even distances."""
    return positions[torch.arange(count) * len(positions) // max(count, 1)]


def _figure(kind: str, name: str, caption: str, image: Image.Image | Tensor) -> str:
    file = io.BytesIO()
    picture(image).save(file, format="PNG", optimize=True)
    data = base64.b64encode(file.getvalue()).decode("ascii")
    words = {"query": "query", "right": "same class", "wrong": "other class"}[kind]
    name = escape(name)
    return (
        f'<figure class="{kind}"><img alt="{words}: {name}" src="data:image/png;base64,{data}">'
        f'<figcaption><b>{caption}</b><span title="{name}">{name}</span></figcaption></figure>'
    )


def _class_name(names: Names, label: int) -> str:
    if isinstance(names, Mapping):
        return str(names.get(label, f"class {label}"))
    return str(names[label]) if 0 <= label < len(names) else f"class {label}"
