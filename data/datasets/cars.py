"""Cars: Stanford Cars-196, photos of cars labelled by make, model and year."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import ClassVar

import numpy as np

from gcahng.data.datasets.files import Listing
from gcahng.data.datasets.published_dataset import (
    CONVERTED,
    DiskLayout,
    PublishedDataset,
    Size,
)

LAST_TRAIN_CLASS = 98
# Explains where to find copies; the original homepage no longer serves the data.
COPIES_URL = "https://github.com/pytorch/vision/issues/7545"


def _read_single_folder(home: Path, split: str) -> Listing:
    """List the archive with all images in one folder."""
    path = home / "cars_annos.mat"
    names = _load(path, "class_names")
    annotations = _load(path, "annotations")
    return _listing(_rows(path, annotations, "relative_im_path", home), names, split)


def _read_two_folders(home: Path, split: str) -> Listing:
    """List the archives with the original train and test folders; both contain every class."""
    names = _load(_annotation_file(home, "cars_meta.mat"), "class_names")
    rows: list[tuple[str, int]] = []
    for part, file in (
        ("cars_train", "cars_train_annos.mat"),
        ("cars_test", "cars_test_annos_withlabels.mat"),
    ):
        path = _annotation_file(home, file)
        # The copy on Kaggle nests the folder in another one of the same name.
        nested = home / part / part
        folder = nested if nested.is_dir() else home / part
        rows += _rows(path, _load(path, "annotations"), "fname", folder)
    return _listing(rows, names, split)


def _listing(rows: Iterable[tuple[str, int]], names: np.ndarray, split: str) -> Listing:
    listing = Listing([], [])
    for path, number in rows:
        if not 1 <= number <= len(names):
            raise ValueError(
                f"'{path}' has class {number}, but there are {len(names)} class names: copy the "
                f"annotations again (see {COPIES_URL})."
            )
        if (number <= LAST_TRAIN_CLASS) == (split == "train"):
            listing.paths.append(path)
            # Same class names as in the folders written by the published conversion scripts.
            listing.names.append(str(names[number - 1]).replace(" ", "_").replace("/", ""))
    return listing


def _rows(
    path: Path, annotations: np.ndarray, name_field: str, folder: Path
) -> Iterator[tuple[str, int]]:
    """Yield the file and the class number (from 1) of each image."""
    for field in (name_field, "class"):
        if field not in (annotations.dtype.names or ()):
            raise ValueError(
                f"'{path}' has no field '{field}': copy the file again (see {COPIES_URL})."
            )
    for name, number in zip(annotations[name_field], annotations["class"], strict=True):
        yield str(folder / str(name)), int(number)


def _annotation_file(home: Path, name: str) -> Path:
    """Find a file that is in `devkit/` in some copies and beside it in others."""
    for path in (home / name, home / "devkit" / name):
        if path.is_file():
            return path
    why = ""
    if "withlabels" in name:
        why = "; it contains the test labels, which cars_test_annos.mat lacks"
    raise FileNotFoundError(
        f"There is no {name} in '{home}' or its devkit/{why}: get it from a copy (see "
        f"{COPIES_URL})."
    )


def _load(path: Path, variable: str) -> np.ndarray:
    # Imported here because importing scipy.io takes a while.
    from scipy.io import loadmat

    try:
        return np.atleast_1d(loadmat(path, squeeze_me=True, variable_names=[variable])[variable])
    # scipy raises many exception types on damaged files.
    except Exception as error:
        raise ValueError(
            f"Cannot read '{variable}' from '{path}' ({error}): copy the file again (see "
            f"{COPIES_URL})."
        ) from error


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
