"""Digits: scikit-learn's handwritten digits, the smallest available task."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gcahng.data.datasets.base import ImageDataset, Transform

FIRST_TEST_CLASS = 5
INK_LEVELS = 16


class Digits(ImageDataset):
    """Handwritten digits, 8x8 grey: classes 0 to 4 for training, 5 to 9 for testing.

    Args:
        root: Unused; the images are part of scikit-learn.
        split: 'train' or 'test'.
        transform: Applied to a uint8 tensor `[1, 8, 8]`; None returns the tensor unchanged.

    Raises:
        ValueError: If the split is unknown.

    Example:
        >>> digits = Digits(split="test")
        >>> digits
        Digits(split='test', classes=5, images=896)
        >>> digits.classes
        ['digit 5', 'digit 6', 'digit 7', 'digit 8', 'digit 9']
    """

    transform_name = "digits"

    def __init__(
        self,
        root: str | Path | None = None,
        split: str = "train",
        transform: Transform | None = None,
    ) -> None:
        super().__init__(root, split, transform)
        images, digits = _read()
        chosen = (digits >= FIRST_TEST_CLASS) == (split == "test")
        names, labels = np.unique(digits[chosen], return_inverse=True)
        levels = (images[chosen] * (255 / INK_LEVELS)).round().astype(np.uint8)
        self.images = torch.from_numpy(levels).reshape(-1, 1, 8, 8)
        self.labels = torch.from_numpy(labels)
        self.classes = [f"digit {name}" for name in names]

    def load(self, index: int) -> Tensor:
        """Return the raw image: `[1, 8, 8]` uint8."""
        return self.images[index]


def _read() -> tuple[NDArray[Any], NDArray[Any]]:
    """Read images [N, 64] and digits [N] as scikit-learn does, without its import of a second."""
    spec = find_spec("sklearn")
    for folder in () if spec is None else spec.submodule_search_locations or ():
        file = Path(folder, "datasets", "data", "digits.csv.gz")
        if file.is_file():
            rows = np.loadtxt(file, delimiter=",")
            return rows[:, :-1], rows[:, -1].astype(int)
    from sklearn.datasets import load_digits

    images, digits = load_digits(return_X_y=True)
    return images, digits
