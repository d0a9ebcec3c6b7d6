"""Cars: Stanford Cars-196, cars by make, model and year."""

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
    Source,
)

LAST_TRAIN_CLASS = 98
COPIES = "https://github.com/pytorch/vision/issues/7545"


def _read_whole(home: Path, split: str) -> Listing:
    """List the archive with all images in one folder."""
    path = home / "cars_annos.mat"
    names = _load(path, "class_names")
    annotations = _load(path, "annotations")
    return _listing(_rows(path, annotations, "relative_im_path", home), names, split)


def _read_halves(home: Path, split: str) -> Listing:
    """List the archives that keep the original halves apart; both hold images of every class."""
    names = _load(_annotation_file(home, "cars_meta.mat"), "class_names")
    rows: list[tuple[str, int]] = []
    for half, file in (
        ("cars_train", "cars_train_annos.mat"),
        ("cars_test", "cars_test_annos_withlabels.mat"),
    ):
        path = _annotation_file(home, file)
        # Kaggle packs the folder into another one of the same name.
        nested = home / half / half
        folder = nested if nested.is_dir() else home / half
        rows += _rows(path, _load(path, "annotations"), "fname", folder)
    return _listing(rows, names, split)


def _listing(rows: Iterable[tuple[str, int]], names: np.ndarray, split: str) -> Listing:
    listing = Listing([], [])
    for path, number in rows:
        if not 1 <= number <= len(names):
            raise ValueError(
                f"'{path}' has class {number}, but there are {len(names)} class names: copy the "
                f"annotations again (see {COPIES})."
            )
        if (number <= LAST_TRAIN_CLASS) == (split == "train"):
            listing.paths.append(path)
            # As the conversion scripts of the published code call the class's folder.
            listing.names.append(str(names[number - 1]).replace(" ", "_").replace("/", ""))
    return listing


def _rows(
    path: Path, annotations: np.ndarray, name_field: str, folder: Path
) -> Iterator[tuple[str, int]]:
    """Yield the file and the class, counted from 1, of each image."""
    for field in (name_field, "class"):
        if field not in (annotations.dtype.names or ()):
            raise ValueError(
                f"'{path}' has no field '{field}': copy the file again (see {COPIES})."
            )
    for name, number in zip(annotations[name_field], annotations["class"], strict=True):
        yield str(folder / str(name)), int(number)


def _annotation_file(home: Path, name: str) -> Path:
    """Find a file that some copies keep in `devkit/` and some beside it."""
    for path in (home / name, home / "devkit" / name):
        if path.is_file():
            return path
    why = ""
    if "withlabels" in name:
        why = "; it has the test images' classes, which cars_test_annos.mat has not"
    raise FileNotFoundError(
        f"There is no {name} in '{home}' or its devkit/{why}: get it from a copy (see {COPIES})."
    )


def _load(path: Path, variable: str) -> np.ndarray:
    # Importing it takes a while that other data sets need not spend.
    from scipy.io import loadmat

    try:
        return np.atleast_1d(loadmat(path, squeeze_me=True, variable_names=[variable])[variable])
    # scipy raises whatever a damaged file makes it stumble over.
    except Exception as error:
        raise ValueError(
            f"Cannot read '{variable}' from '{path}' ({error}): copy the file again (see {COPIES})."
        ) from error


class Cars(PublishedDataset):
    """Cars of 196 models: the first 98 to train on, the last 98 to test.

    The arguments are `PublishedDataset`'s.
    """

    folders = ("CARS196", "CAR196", "stanford_cars", "stanford_cars_dataset", "cars")
    layouts = (
        DiskLayout(("cars_annos.mat", "car_ims/"), _read_whole),
        DiskLayout(("cars_train/", "cars_test/"), _read_halves),
        CONVERTED,
    )
    expected: ClassVar = {"train": Size(8054, 98), "test": Size(8131, 98)}
    source = Source(
        "https://ai.stanford.edu/~jkrause/cars/car_dataset.html",
        f"Its homepage no longer serves it: get a copy as {COPIES} says, with either "
        "cars_annos.mat and car_ims/, or cars_train/, cars_test/, devkit/ and "
        "cars_test_annos_withlabels.mat, and unpack it there.",
    )
