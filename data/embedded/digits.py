"""Digits: scikit-learn's handwritten digits, the smallest available task."""

from pathlib import Path

import numpy as np
import torch
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
        # Imported here because importing scikit-learn takes about a second.
        from sklearn.datasets import load_digits

        images, digits = load_digits(return_X_y=True)
        chosen = (digits >= FIRST_TEST_CLASS) == (split == "test")
        names, labels = np.unique(digits[chosen], return_inverse=True)
        levels = (images[chosen] * (255 / INK_LEVELS)).round().astype(np.uint8)
        self.images = torch.from_numpy(levels).reshape(-1, 1, 8, 8)
        self.labels = torch.from_numpy(labels)
        self.classes = [f"digit {name}" for name in names]

    def load(self, index: int) -> Tensor:
        """Return the raw image: `[1, 8, 8]` uint8."""
        return self.images[index]
