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
    """
    scale = np.asarray(size)
    turn = GOLDEN_ANGLE * np.arange(len(points))
    # Coinciding points have no direction to move in; a sunflower pattern gives each its own.
    seed = np.sqrt(np.arange(len(points)) / len(points))
    boxes = points / scale + 0.01 * seed[:, None] * np.stack([np.cos(turn), np.sin(turn)], axis=1)
    for _ in range(ROUNDS):
        pairs = cKDTree(boxes).query_pairs(1 - TOLERANCE, p=np.inf, output_type="ndarray")
        if len(pairs) == 0:
            break
        gap = boxes[pairs[:, 0]] - boxes[pairs[:, 1]]
        rows, axis = np.arange(len(gap)), np.abs(gap).argmax(1)
        along = gap[rows, axis]
        push = np.zeros_like(gap)
        push[rows, axis] = np.where(along < 0, -1, 1) * (1 - np.abs(along))
        move, hits = np.zeros_like(boxes), np.bincount(pairs.ravel(), minlength=len(boxes))
        np.add.at(move, pairs.T, np.stack([push, -push]))
        # Between the sum of all pushes, which overshoots in crowds, and the mean, which is slow.
        boxes = boxes + STEP * move / np.sqrt(np.maximum(hits, 1))[:, None]
    return boxes * scale
