"""Cars: Stanford Cars-196, photos of cars labelled by make, model and year."""

from collections.abc import Iterable
from pathlib import Path
from typing import ClassVar

import numpy as np

from gcahng.data.datasets.files import Listing
from gcahng.data.datasets.published_dataset import CONVERTED, DiskLayout, PublishedDataset, Size

LAST_TRAIN_CLASS = 98
# Explains where to find copies; the original homepage no longer serves the data.
COPIES_URL = "https://github.com/pytorch/vision/issues/7545"


def _read_single_folder(home: Path, split: str) -> Listing:
    """List the archive with all images in one folder."""
    path = home / "cars_annos.mat"
    rows = _load(path, "annotations")
    images = [(home / str(name), number) for name, number in rows[["relative_im_path", "class"]]]
    return _listing(images, _load(path, "class_names"), split)


def _read_two_folders(home: Path, split: str) -> Listing:
    """List the archives with the original train and test folders; both contain every class."""
    images = []
    for part, file in (
        ("cars_train", "cars_train_annos.mat"),
        ("cars_test", "cars_test_annos_withlabels.mat"),
    ):
        rows = _load(_annotation_file(home, file), "annotations")
        # The copy on Kaggle nests the folder in another one of the same name.
        nested = home / part / part
        folder = nested if nested.is_dir() else home / part
        images += [(folder / str(name), number) for name, number in rows[["fname", "class"]]]
    return _listing(images, _load(_annotation_file(home, "cars_meta.mat"), "class_names"), split)


def _listing(images: Iterable[tuple[Path, int]], names: np.ndarray, split: str) -> Listing:
    """List the images, whose classes are numbered from 1, of a split."""
    listing = Listing([], [])
    for path, number in images:
        if (number <= LAST_TRAIN_CLASS) == (split == "train"):
            listing.paths.append(str(path))
            # Same class names as in the folders written by the published conversion scripts.
            listing.names.append(str(names[number - 1]).replace(" ", "_").replace("/", ""))
    return listing


def _annotation_file(home: Path, name: str) -> Path:
    """Find a file that is in `devkit/` in some copies and beside it in others."""
    for path in (home / name, home / "devkit" / name):
        if path.is_file():
            return path
    raise FileNotFoundError(
        f"There is no {name} in '{home}' or its devkit/: get it from a copy (see {COPIES_URL})."
    )


def _load(path: Path, variable: str) -> np.ndarray:
    # Imported here because importing scipy.io takes a while.
    from scipy.io import loadmat

    return np.atleast_1d(loadmat(path, squeeze_me=True, variable_names=[variable])[variable])


class Cars(PublishedDataset):
    """Stanford Cars: classes 1-98 for training, 99-196 for testing.

    The arguments are those of `PublishedDataset`.

    Source: Krause et al. (3dRR 2013).

    Example:
        >>> Cars("missing", split="test")
        Traceback (most recent call last):
            ...
        FileNotFoundError: There is no Cars in 'missing' or ... get a copy as described in ...
    """

    folders = ("CARS196", "CAR196", "stanford_cars", "stanford_cars_dataset", "cars")
    layouts = (
        DiskLayout(("cars_annos.mat", "car_ims/"), _read_single_folder),
        DiskLayout(("cars_train/", "cars_test/"), _read_two_folders),
        CONVERTED,
    )
    expected: ClassVar = {"train": Size(8054, 98), "test": Size(8131, 98)}
    instructions = (
        f"Its homepage no longer serves it: get a copy as described in {COPIES_URL}, with either "
        "cars_annos.mat and car_ims/, or cars_train/, cars_test/, devkit/ and "
        "cars_test_annos_withlabels.mat, and unpack it there."
    )
