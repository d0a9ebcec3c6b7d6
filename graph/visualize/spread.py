"""Move overlapping boxes apart."""

import numpy as np
from scipy.spatial import cKDTree

ROUNDS = 2000
# Boxes may overlap by this fraction of their side.
TOLERANCE = 0.02
STEP = 0.7
GOLDEN_ANGLE = np.pi * (3 - np.sqrt(5))


def spread(points: np.ndarray, size: tuple[float, float]) -> np.ndarray:
    """Move equal boxes apart in small steps until no two overlap.

    In each round, overlapping boxes push each other along the axis of smaller overlap. Boxes
    without overlap stay in place.

    Args:
        points: [N, 2], the centres.
        size: Width and height of a box, in units of the points.

    Example:
        >>> spread(np.array([[0.0, 0.0], [9.0, 9.0], [0.4, 0.0]]), size=(1, 1)).round(1)[1]
        array([9., 9.])
    """
    scale = np.asarray(size)
    turn = GOLDEN_ANGLE * np.arange(len(points))
    # Coinciding points have no direction to move in; a sunflower pattern gives each its own.
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
        # Between the sum of all pushes, which overshoots in crowds, and the mean, which is slow.
        boxes = boxes + STEP * move / np.sqrt(np.maximum(hits, 1))[:, None]
    return boxes * scale


def overlapping(boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find pairs of unit squares with centres [N, 2] that overlap by more than the tolerance."""
    pairs = cKDTree(boxes).query_pairs(1 - TOLERANCE, p=np.inf, output_type="ndarray")
    return pairs[:, 0], pairs[:, 1]
