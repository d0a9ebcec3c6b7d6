"""The base class of data sets: raw images, labels, class names and a transform."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

RawImage = Image.Image | Tensor
Transform = Callable[[Any], Tensor]


def shortest_side(transform: Transform | None) -> int | None:
    """The length that the shorter side of a large image needs; None: images are read whole."""
    side: int | None = getattr(transform, "shortest_side", None)
    return side


class ImageDataset(Dataset[tuple[Any, int]], ABC):
    """Labelled images of one split.

    A subclass implements `load` and sets `classes` and `labels` in its constructor, and
    `is_query` if its evaluation protocol separates queries from the gallery.

    Args:
        root: The folder that holds all data sets; None for data sets that need no files.
        split: One of `SPLITS`; a ValueError for any other.
        transform: Applied to the raw image by `__getitem__`; None returns raw images.

    Attributes:
        classes: Names of the `C` classes.
        labels: `[N]` int64 in `0..C-1`, indices into `classes`.
        transform_name: The transform of an experiment that names none.
        is_query: `[N]` bool; None if every image is a query against all others.

    Example:
        >>> class Greys(ImageDataset):
        ...     def __init__(self, split="train"):
        ...         super().__init__(root=None, split=split)
        ...         self.classes, self.labels = ["dark", "light"], torch.tensor([0, 0, 1, 1])
        ...     def load(self, index):
        ...         return torch.full((1, 8, 8), 60 * index, dtype=torch.uint8)
        >>> Greys()
        Greys(split='train', classes=2, images=4)
        >>> Greys()[3][0].shape
        torch.Size([1, 8, 8])
    """

    SPLITS: ClassVar[tuple[str, ...]] = ("train", "test")
    transform_name: ClassVar[str] = "imagenet"

    classes: list[str]
    labels: Tensor
    is_query: Tensor | None = None

    def __init__(
        self, root: str | Path | None, split: str, transform: Transform | None = None
    ) -> None:
        if split not in self.SPLITS:
            raise ValueError(
                f"{type(self).__name__} has no split '{split}': choose one of "
                f"{', '.join(self.SPLITS)}."
            )
        self.root = None if root is None else Path(root)
        self.split = split
        self.transform = transform

    @property
    def name(self) -> str:
        """The data set's name in titles and reports."""
        return type(self).__name__

    @property
    def num_classes(self) -> int:
        """Number of classes in this split."""
        return len(self.classes)

    @abstractmethod
    def load(self, index: int) -> RawImage:
        """Return the raw image: a PIL image, or a uint8 tensor `[channels, height, width]`."""

    def load_reduced(self, index: int, shortest: int | None) -> RawImage:
        """Return the raw image, or a smaller one whose shorter side has at least `shortest` pixels.

        Transforms get this image, with their `shortest_side`; override it if your files are large
        JPEGs (`read_image`). None: the raw image.
        """
        return self.load(index)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Any, int]:
        image = self.load_reduced(index, shortest_side(self.transform))
        return image if self.transform is None else self.transform(image), int(self.labels[index])

    def __repr__(self) -> str:
        kind = type(self).__name__
        return f"{kind}(split={self.split!r}, classes={self.num_classes}, images={len(self)})"


def check_listing(name: str, dataset: ImageDataset) -> None:
    """Raise unless a data set has set `classes` and `labels` as `ImageDataset` says."""
    classes, labels = getattr(dataset, "classes", None), getattr(dataset, "labels", None)
    if not isinstance(classes, list) or not all(isinstance(one, str) for one in classes):
        raise ValueError(f"Expected data set {name!r} to set 'classes', a list of names.")
    if not (
        isinstance(labels, Tensor)
        and (labels.dtype, labels.dim()) == (torch.int64, 1)
        and _within(labels, len(classes))
    ):
        raise ValueError(
            f"Expected data set {name!r} to set 'labels', a tensor of integers in "
            f"0..{len(classes) - 1} (its number of classes), one for each image."
        )


def check_findable(dataset: ImageDataset, split: str | None = None) -> None:
    """Raise unless retrieval can be measured: at least one query has a correct match.

    Args:
        dataset: The data set to be evaluated.
        split: The split's name in the error message; None takes `dataset.split`.

    Example:
        >>> from gcahng.data import build_dataset
        >>> dataset = build_dataset("digits", "train")
        >>> dataset.labels = torch.arange(len(dataset))  # one image per class
        >>> check_findable(dataset)
        Traceback (most recent call last):
            ...
        ValueError: No query of the train split has another image of its class to retrieve: ...
    """
    if dataset.is_query is None:
        findable = bool((dataset.labels.bincount() > 1).any())
    else:
        queries, gallery = dataset.labels[dataset.is_query], dataset.labels[~dataset.is_query]
        findable = bool(torch.isin(queries, gallery).any())
    if not findable:
        raise ValueError(
            f"No query of the {split or dataset.split} split has another image of its class to "
            "retrieve: its classes need at least two images each."
        )


class ClassSubset(ImageDataset):
    """Selected classes of another data set, relabelled from 0, with a separate transform.

    Args:
        dataset: The underlying data set; its raw images are shared, its transform is not used.
        class_ids: The classes to keep, distinct and at least one; their order defines the new
            labels.
        transform: As in `ImageDataset`.

    Example:
        >>> from gcahng.data import build_dataset
        >>> digits = build_dataset("digits", "train")
        >>> subset = ClassSubset(digits, class_ids=[3, 1])
        >>> subset.classes, sorted(set(subset.labels.tolist()))
        (['digit 3', 'digit 1'], [0, 1])
    """

    def __init__(
        self, dataset: ImageDataset, class_ids: Sequence[int], transform: Transform | None = None
    ) -> None:
        ids = torch.as_tensor(class_ids, dtype=torch.int64)
        if not len(ids) or len(ids.unique()) < len(ids) or not _within(ids, dataset.num_classes):
            raise ValueError(
                f"'class_ids' must be distinct numbers in 0..{dataset.num_classes - 1}, at least "
                f"one (got {ids.tolist()})."
            )
        self.SPLITS = dataset.SPLITS  # type: ignore[misc]
        self.transform_name = dataset.transform_name  # type: ignore[misc]
        super().__init__(dataset.root, dataset.split, transform)
        self.dataset = dataset
        new_label = torch.full((dataset.num_classes,), -1)
        new_label[ids] = torch.arange(len(ids))
        renumbered = new_label[dataset.labels]
        self.indices = (renumbered >= 0).nonzero().flatten()
        self.classes = [dataset.classes[i] for i in ids.tolist()]
        self.labels = renumbered[self.indices]
        self.is_query = None if dataset.is_query is None else dataset.is_query[self.indices]

    @property
    def name(self) -> str:
        """The name of the underlying data set."""
        return self.dataset.name

    def load(self, index: int) -> RawImage:
        """Return the raw image of the underlying data set."""
        return self.dataset.load(int(self.indices[index]))

    def load_reduced(self, index: int, shortest: int | None) -> RawImage:
        """Return the raw image of the underlying data set, or a smaller version of it."""
        return self.dataset.load_reduced(int(self.indices[index]), shortest)


def _within(ids: Tensor, count: int) -> bool:
    return bool(((ids >= 0) & (ids < count)).all())


def split_classes(
    num_classes: int, share: float, seed: int, part: str = "validation"
) -> tuple[list[int], list[int]]:
    """Split class numbers at random into training and held-out classes.

    Args:
        num_classes: Number of classes.
        share: Fraction of the classes to hold out, in (0, 1); either part needs 2.
        seed: Seed ≥ 0 of the split.
        part: Name of the held-out part in the error message.

    Returns:
        Training and held-out classes: two disjoint, ascending lists that cover all classes.

    Example:
        >>> split_classes(10, share=0.2, seed=0)
        ([0, 1, 2, 3, 5, 7, 8, 9], [4, 6])
    """
    if not 0 < share < 1 or seed < 0:
        raise ValueError(
            f"Expected a {part} share between 0 and 1 and a seed of 0 or more (got {share}, {seed})"
        )
    held_out = round(num_classes * share)
    if held_out < 2 or num_classes - held_out < 2:
        raise ValueError(
            f"A {part} share of {share} of {num_classes} classes gives {held_out} for {part} and "
            f"{num_classes - held_out} for training; choose a share that leaves both at least 2."
        )
    order = np.random.default_rng(seed).permutation(num_classes).tolist()
    return sorted(order[held_out:]), sorted(order[:held_out])
