"""Move boxes apart so that none hides another."""

import numpy as np
from scipy.spatial import cKDTree

ROUNDS = 2000
# Boxes may overlap by this part of their side.
TOLERANCE = 0.02
STEP = 0.7
GOLDEN_ANGLE = np.pi * (3 - np.sqrt(5))


def spread(points: np.ndarray, size: tuple[float, float]) -> np.ndarray:
    """Move equal boxes apart, each as little as its neighbours let it.

    Every two that overlap push each other along the axis on which they overlap less, round after
    round until all are free; boxes that overlap with none stay where they are.

    Args:
        points: [N, 2], the centres.
        size: Width and height of a box, in units of the points.
    """
    scale = np.asarray(size)
    turn = GOLDEN_ANGLE * np.arange(len(points))
    # Points in one place have no direction to part in: a sunflower gives each its own.
    seed = np.sqrt(np.arange(len(points)) / len(points))
    boxes = points / scale + 0.01 * seed[:, None] * np.stack([np.cos(turn), np.sin(turn)], axis=1)
    for _ in range(ROUNDS):
        first, second = overlapping(boxes)
        if first.size == 0:
            break
        gap = boxes[first] - boxes[second]
        rows, axis = np.arange(len(gap)), np.abs(gap).argmax(1)
        along = gap[rows, axis]
        push = np.zeros_like(gap)
        push[rows, axis] = np.where(along < 0, -1, 1) * (1 - np.abs(along))
        move = np.zeros_like(boxes)
        np.add.at(move, first, push)
        np.add.at(move, second, -push)
        hits = np.bincount(np.concatenate([first, second]), minlength=len(boxes))
        # The sum would throw the boxes of a crowd far apart, the mean would hardly part them.
        boxes = boxes + STEP * move / np.sqrt(np.maximum(hits, 1))[:, None]
    return boxes * scale


def overlapping(boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The pairs of unit squares, centres [N, 2], that overlap by more than the tolerance."""
    pairs = cKDTree(boxes).query_pairs(1 - TOLERANCE, p=np.inf, output_type="ndarray")
    return pairs[:, 0], pairs[:, 1]
