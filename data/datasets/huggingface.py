"""HuggingFace: image data sets of the library `datasets`, from a disk or from the Hub."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import torch
from PIL import Image

from gcahng.data.datasets.base import ImageDataset, Transform, split_classes
from gcahng.data.datasets.files import EmptySplitError
from gcahng.errors import did_you_mean
from gcahng.pictures import decode_image, read_image
from gcahng.reasons import install_extra


class HuggingFace(ImageDataset):
    """Images of a Hugging Face data set: its classes split at random, or its own splits.

    By default the rows of all its splits are taken together, and a random `test_share` of the
    classes forms the test split, so that no test class is trained on.

    Args:
        root: The folder written by `save_to_disk`; not used with `hub`.
        split: 'train', 'test', or 'val' if `splits` names it.
        transform: Applied to an RGB PIL image; None returns the image unchanged.
        hub: The name of a data set of the Hub for `load_dataset`, in place of a folder.
        config: Its configuration, if it has several.
        image: The column of images.
        label: The column of labels: class labels, texts or integers.
        splits: The data set's own splits to take as they are, by 'train', 'test' and, for the best
            epoch, 'val'; None for a random class split.
        test_share: Fraction of the classes to test on in a random split, in (0, 1).
        seed: Seed ≥ 0 of a random split.

    Raises:
        FileNotFoundError: If there is no such data set.
        ImportError: If the package `datasets` is not installed.
        ValueError: If a column or a split is missing or unsuitable, or a class split impossible.

    Example:
        >>> dataset = HuggingFace("saved/animals")  # doctest: +SKIP
        >>> HuggingFace("saved", splits={"train": "train"})
        Traceback (most recent call last):
            ...
        ValueError: Expected 'splits' to name 'train' and 'test', and 'val' if there is one ...
    """

    SPLITS: ClassVar[tuple[str, ...]] = ("train", "test", "val")

    def __init__(
        self,
        root: str | Path | None,
        split: str = "train",
        transform: Transform | None = None,
        hub: str | None = None,
        config: str | None = None,
        image: str = "image",
        label: str = "label",
        splits: Mapping[str, str] | None = None,
        test_share: float = 0.5,
        seed: int = 0,
    ) -> None:
        parts = dict(splits or {})
        if parts and not {"train", "test"} <= parts.keys() <= set(self.SPLITS):
            raise ValueError(
                "Expected 'splits' to name 'train' and 'test', and 'val' if there is one (got "
                f"{', '.join(map(str, parts))})."
            )
        self.SPLITS = tuple(parts) or ("train", "test")  # type: ignore[misc]
        super().__init__(root, split, transform)
        if root is None and hub is None:
            raise ValueError("HuggingFace reads its images from files: set 'root', or 'hub'.")
        self.source = hub or str(root)
        rows = _load(self.source, hub, config, parts.get(split))
        values, names = _labels(rows, image, label, self.source)
        kept = list(names)
        if not parts:
            for_train, for_test = split_classes(len(names), test_share, seed, "test")
            kept = [kept[i] for i in (for_train if split == "train" else for_test)]
        number = {value: new for new, value in enumerate(kept)}
        self.indices = [row for row, value in enumerate(values) if value in number]
        if not self.indices:
            raise EmptySplitError(f"The {split} split of '{self.source}' has no image.")
        self.labels = torch.tensor([number[values[row]] for row in self.indices])
        self.classes = [names[value] for value in number]
        from datasets import Image as ImageFeature

        # As bytes or paths, so that `load` decodes them as all images are.
        self.images = rows.select_columns([image]).cast_column(image, ImageFeature(decode=False))
        self.column = image

    @property
    def name(self) -> str:
        """The last part of the folder, or of the name on the Hub."""
        return Path(self.source).name

    def load(self, index: int) -> Image.Image:
        """Return the image as upright RGB; a ValueError names a row that cannot be decoded."""
        return self.load_reduced(index, None)

    def load_reduced(self, index: int, shortest: int | None) -> Image.Image:
        """Return the image as `load` does; a large JPEG is decoded at a reduced size."""
        row = self.indices[index]
        cell: dict[str, Any] = self.images[row][self.column] or {}
        if cell.get("bytes") is None and cell.get("path") is not None:
            return read_image(cell["path"], shortest=shortest)
        try:
            return decode_image(cell.get("bytes") or b"", shortest=shortest)
        except ValueError as error:
            raise ValueError(
                f"Cannot read the image in row {row} of '{self.source}' ({error}); leave it out of "
                "the data set."
            ) from error


def _load(source: str, hub: str | None, config: str | None, part: str | None) -> Any:
    """Load one split of a data set, or all of them together."""
    try:
        # A plain folder `datasets` in the current one could be imported, too.
        from datasets import Dataset, concatenate_datasets, load_dataset, load_from_disk
    except ImportError as error:
        raise ImportError(
            "the data set huggingface needs the package datasets, which is not installed: "
            f"{install_extra('hf')}"
        ) from error
    loaded = load_from_disk(source) if hub is None else load_dataset(source, config)
    splits = {"": loaded} if isinstance(loaded, Dataset) else dict(loaded)
    # Without the format in which another program wants to read rows, and with all columns.
    splits = {name: rows.with_format(None) for name, rows in splits.items()}
    if part is None:
        return concatenate_datasets(list(splits.values()))
    if part not in splits:
        there = ", ".join(filter(None, splits)) or "none, so leave out 'splits'"
        raise ValueError(
            f"'{source}' has no split {part!r}{did_you_mean(part, splits)}; it has: {there}."
        )
    return splits[part]


def _labels(rows: Any, image: str, label: str, source: str) -> tuple[list[Any], dict[Any, str]]:
    """The label of every row, and the class names by label in their order."""
    from datasets import ClassLabel
    from datasets import Image as ImageFeature

    for role, column in (("image", image), ("label", label)):
        if column not in rows.column_names:
            raise ValueError(
                f"'{source}' has no column {column!r}{did_you_mean(column, rows.column_names)}: "
                f"set '{role}' to one of {', '.join(rows.column_names)}."
            )
    if not isinstance(rows.features[image], ImageFeature):
        raise ValueError(f"Column {image!r} of '{source}' has no images: set 'image' to another.")
    feature = rows.features[label]
    values: list[Any] = list(rows[label])
    texts = feature.names if isinstance(feature, ClassLabel) else None
    for row, value in enumerate(values):
        if not isinstance(value, str | int) or (texts is not None and int(value) < 0):
            raise ValueError(
                f"Column {label!r} of '{source}' has {value!r} in row {row}: expected a class "
                "label, a text or an integer."
            )
    return values, {v: str(v) if texts is None else texts[v] for v in sorted(set(values))}
