"""HuggingFace: image data sets of the library `datasets`, from a disk or from the Hub."""

import json
from pathlib import Path
from typing import Any, ClassVar

import torch
from PIL import Image

from gcahng.data.datasets.base import ImageDataset, Transform, split_classes
from gcahng.data.datasets.files import EmptySplitError
from gcahng.data.datasets.listing import shorten
from gcahng.errors import did_you_mean
from gcahng.pictures import decode_image, read_image

SHOWN = 10


class HuggingFace(ImageDataset):
    """Images of a Hugging Face data set: its classes split at random, or its own splits.

    By default the rows of all its splits are taken together, and a random `test_share` of the
    classes forms the test split, so that no test class is trained on. With `train` and `test`,
    these splits of the data set are used as they are.

    Args:
        root: The folder written by `save_to_disk`, or the base folder of `path`.
        split: 'train', 'test', or 'val' if `validation` is given.
        transform: Applied to an RGB PIL image; None returns the image unchanged.
        path: A folder written by `save_to_disk`, absolute or relative to `root`; None takes `root`.
        hub: The name of a data set of the Hub for `load_dataset`, in place of a folder.
        config: Its configuration, if it has several.
        revision: Its version: a branch, a tag or a commit.
        image: The column of images.
        label: The column of labels: class labels, texts or integers.
        train: The data set's split to train on; None for a random class split.
        test: The data set's split to test on, together with `train`.
        validation: The data set's split to choose the best epoch on, with the other two.
        test_share: Fraction of the classes to test on in a random split, in (0, 1).
        seed: Seed ≥ 0 of a random split.

    Raises:
        FileNotFoundError: If there is no such data set.
        ImportError: If the package `datasets` is not installed.
        ValueError: If a column or a split is missing or unsuitable, or a class split impossible.

    Example:
        >>> dataset = HuggingFace("saved", path="animals")  # doctest: +SKIP
        >>> HuggingFace("saved", train="train")
        Traceback (most recent call last):
            ...
        ValueError: Expected both 'train' and 'test', or neither for a class split.
    """

    SPLITS: ClassVar[tuple[str, ...]] = ("train", "test", "val")

    def __init__(
        self,
        root: str | Path | None,
        split: str = "train",
        transform: Transform | None = None,
        path: str | None = None,
        hub: str | None = None,
        config: str | None = None,
        revision: str | None = None,
        image: str = "image",
        label: str = "label",
        train: str | None = None,
        test: str | None = None,
        validation: str | None = None,
        test_share: float = 0.5,
        seed: int = 0,
    ) -> None:
        super().__init__(root, split, transform)
        _check_used(path=path, hub=hub, config=config, revision=revision)
        given = {"train": train, "test": test, "val": validation}
        parts = {key: part for key, part in given.items() if part is not None}
        if parts and not {"train", "test"} <= parts.keys():
            raise ValueError("Expected both 'train' and 'test', or neither for a class split.")
        self.SPLITS = tuple(parts) or ("train", "test")  # type: ignore[misc]
        if split not in self.SPLITS:
            raise ValueError("There is no 'val' split: set 'validation', and 'train' and 'test'.")
        self.source = hub or str(_folder(root, path))
        loaded = _load(self.source, hub is None, config, revision)
        rows = _rows(loaded, parts.get(split), self.source)
        _check_columns(rows, image, label, self.source)
        values, names = _labels(rows, label)
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
        self.images, self.column = _undecoded(rows, image), image

    @property
    def name(self) -> str:
        """The last part of the folder, or of the name on the Hub."""
        return Path(self.source).name

    @property
    def problems(self) -> tuple[str, ...]:
        """A sentence about the images that cannot be decoded, for `verify`; decodes all of them."""
        wrong = []
        for index, row in enumerate(self.indices):
            try:
                self.load(index)
            except (OSError, ValueError) as error:
                reason = error.__cause__ if error.__cause__ is not None else error
                wrong.append(f"row {row} ({reason})")
        if not wrong:
            return ()
        return (f"Unreadable images of {self.split} ({len(wrong)}): {shorten(wrong, SHOWN)}.",)

    def load(self, index: int) -> Image.Image:
        """Return the image as upright RGB.

        Raises:
            FileNotFoundError: If it is a file that is missing.
            ValueError: If it cannot be decoded.
        """
        return self._read(index)

    def load_reduced(self, index: int, shortest: int) -> Image.Image:
        """Return the image as `load` does; a large JPEG is decoded at a reduced size.

        A subclass that overrides `load` alone gets images of full size.
        """
        if type(self).load is not HuggingFace.load:
            return self.load(index)
        return self._read(index, shortest)

    def _read(self, index: int, shortest: int | None = None) -> Image.Image:
        row = self.indices[index]
        cell: dict[str, Any] = self.images[row][self.column] or {}
        if cell.get("bytes") is None and cell.get("path") is not None:
            return read_image(cell["path"], shortest=shortest)
        try:
            if cell.get("bytes") is None:
                raise ValueError("it is empty")
            return decode_image(cell["bytes"], shortest=shortest)
        except ValueError as error:
            raise ValueError(
                f"Cannot read the image in row {row} of '{self.source}' ({error}); leave it out of "
                "the data set."
            ) from error


def _check_used(
    path: str | None, hub: str | None, config: str | None, revision: str | None
) -> None:
    """Refuse arguments that would have no effect."""
    if hub == "":
        raise ValueError("Expected 'hub' as the name of a data set of the Hub (got '').")
    if hub is not None and path is not None:
        raise ValueError("Expected 'path' of a folder or 'hub', not both.")
    for name, value in (("config", config), ("revision", revision)):
        if hub is None and value is not None:
            raise ValueError(f"'{name}' has no effect without 'hub'.")


def _folder(root: str | Path | None, path: str | None) -> Path:
    if root is None:
        raise ValueError("HuggingFace reads its images from files: set 'root' to their folder.")
    return Path(root, path or "")


def _load(source: str, on_disk: bool, config: str | None, revision: str | None) -> Any:
    """Load a data set, with all its splits if it has several."""
    try:
        # A plain folder `datasets` in the current one could be imported, too.
        from datasets import load_dataset, load_from_disk
    except ImportError as error:
        raise ImportError(
            "the data set huggingface needs the package datasets, which is not installed: "
            'pip install "gcahng[hf]"'
        ) from error
    if on_disk:
        if not Path(source).is_dir():
            raise FileNotFoundError(
                f"There is no folder '{source}': expected one written by save_to_disk; for a data "
                "set of the Hub set 'hub'."
            )
        try:
            return load_from_disk(source)
        except FileNotFoundError as error:
            raise FileNotFoundError(
                f"'{source}' was not written by save_to_disk: set 'path' to such a folder, or "
                "'hub' for a data set of the Hub."
            ) from error
        except IndexError as error:
            raise ValueError(
                f"'{source}' has no rows{_of_splits(source)}, and the library datasets cannot open "
                "it: save it again with images, or without that split."
            ) from error
        except (OSError, ValueError) as error:  # of JSON and of Arrow
            raise ValueError(f"'{source}' is damaged ({_reason(error)}): save it again.") from error
    try:
        return load_dataset(source, config, revision=revision)
    except (OSError, RuntimeError, ValueError) as error:
        reason = _reason(error)
        raise FileNotFoundError(f"The data set '{source}' cannot be loaded: {reason}.") from error


def _of_splits(source: str) -> str:
    """Which splits of a saved data set are empty; nothing if it has no splits."""
    states = {path.parent.name: path.read_text() for path in Path(source).glob("*/state.json")}
    empty = [name for name, state in states.items() if not json.loads(state).get("_data_files")]
    return f" in {', '.join(map(repr, sorted(empty)))}" if empty else ""


def _reason(error: Exception) -> str:
    """The message of an error on one line; names of configurations follow on the next ones."""
    text = " ".join(str(error).split())[:300].rstrip(".")
    return text or type(error).__name__


def _rows(loaded: Any, part: str | None, source: str) -> Any:
    """One split of a data set, or all of them together."""
    from datasets import Dataset, concatenate_datasets

    splits = {"": loaded} if isinstance(loaded, Dataset) else dict(loaded)
    # Without the format in which another program wants to read rows, and with all columns.
    splits = {name: rows.with_format(None) for name, rows in splits.items()}
    if part is None:
        if not any(map(len, splits.values())):
            raise ValueError(f"'{source}' has no image.")
        return concatenate_datasets(list(splits.values()))
    if part not in splits:
        there = ", ".join(filter(None, splits)) or "none, so leave out 'train' and 'test'"
        raise ValueError(
            f"'{source}' has no split {part!r}{did_you_mean(part, splits)}; it has: {there}."
        )
    return splits[part]


def _check_columns(rows: Any, image: str, label: str, source: str) -> None:
    from datasets import Image as ImageFeature

    for role, column in (("image", image), ("label", label)):
        if column not in rows.column_names:
            raise ValueError(
                f"'{source}' has no column {column!r}{did_you_mean(column, rows.column_names)}: "
                f"set '{role}' to one of {', '.join(rows.column_names)}."
            )
    if not isinstance(rows.features[image], ImageFeature):
        raise ValueError(
            f"Column {image!r} of '{source}' has no images but {rows.features[image]}: set 'image' "
            "to another one."
        )


def _undecoded(rows: Any, image: str) -> Any:
    """The column of images as bytes or paths, so that `load` decodes them as all images are."""
    from datasets import Image as ImageFeature

    return rows.select_columns([image]).cast_column(image, ImageFeature(decode=False))


def _labels(rows: Any, label: str) -> tuple[list[Any], dict[Any, str]]:
    """The label of every row, and the class names by label in their order."""
    from datasets import ClassLabel

    feature = rows.features[label]
    values: list[Any] = list(rows[label])
    texts = feature.names if isinstance(feature, ClassLabel) else None
    for row, value in enumerate(values):
        if value is None or (texts is not None and value < 0):
            raise ValueError(f"Column {label!r} has no label in row {row}.")
        if isinstance(value, bool) or not isinstance(value, str | int):
            raise ValueError(f"Column {label!r} has {value!r}: expected class labels or texts.")
    return values, {v: str(v) if texts is None else texts[v] for v in sorted(set(values))}
