"""Folder: your own images, one folder per class."""

from pathlib import Path
from typing import ClassVar

from gcahng.data.datasets.base import Transform, split_classes
from gcahng.data.datasets.class_folders import class_folders, is_picture, split_folders
from gcahng.data.datasets.files import FileDataset
from gcahng.data.datasets.listing import Listing
from gcahng.files import printable

EXPECTED = (
    "expected one folder of images per class, either inside train/ and test/ or, for a random "
    "class split, directly in this folder"
)


class Folder(FileDataset):
    """Images in one folder per class, inside `train/` and `test/` or split at random.

    A folder `val/`, `valid/` or `validation/` beside `train/` and `test/` is the validation split.
    Without `train/` and `test/`, a random `test_share` of the classes forms the test split.
    Images in subfolders of a class folder belong to the class; hidden files and files that are
    not images are ignored.

    Args:
        root: The folder itself, or the base folder of `path`.
        split: 'train', 'test', or 'val' if there is a validation split.
        transform: As in `FileDataset`.
        unreadable: As in `FileDataset`.
        path: The folder, absolute or relative to `root`; None takes `root` itself.
        test_share: Fraction of the classes to test on in a random split, in (0, 1).
        seed: Seed ≥ 0 of a random split.

    Raises:
        FileNotFoundError: If there is no such folder.
        ValueError: If it has too few classes, or an argument is unknown.

    Example:
        >>> import tempfile
        >>> from PIL import Image
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     for name in ("ant", "bee", "cat", "dog"):
        ...         Path(folder, name).mkdir()
        ...         Image.new("RGB", (8, 8)).save(Path(folder, name, "1.png"))
        ...     train, test = Folder(folder), Folder(folder, "test")
        ...     sorted(train.classes + test.classes), len(test)
        (['ant', 'bee', 'cat', 'dog'], 2)
    """

    SPLITS: ClassVar[tuple[str, ...]] = ("train", "test", "val")

    def __init__(
        self,
        root: str | Path | None,
        split: str = "train",
        transform: Transform | None = None,
        unreadable: str = "stop",
        path: str | None = None,
        test_share: float = 0.5,
        seed: int = 0,
    ) -> None:
        self.path, self.test_share, self.seed = path, test_share, seed
        super().__init__(root, split, transform, unreadable)
        self.SPLITS = tuple(split_folders(self.home) or ("train", "test"))  # type: ignore[misc]

    @property
    def name(self) -> str:
        """The folder's name."""
        return printable(self.home.resolve().name)

    @property
    def home(self) -> Path:
        """The folder that contains the class folders, or `train/` and `test/`."""
        return self.folder / (self.path or "")

    def list_images(self) -> Listing:
        """List the class folders of the split."""
        if not self.home.is_dir():
            raise FileNotFoundError(f"There is no folder '{self.home}': {EXPECTED}.")
        folders = split_folders(self.home)
        if self.split == "val" and "val" not in folders:
            raise ValueError(
                f"'{self.home}' has no validation split: expected val/, valid/ or validation/ "
                "beside train/ and test/."
            )
        if folders:
            folder = folders[self.split]
            listing = class_folders(folder, list(folders.values()))
            _check_num_classes(listing, 2, folder)
            return listing
        listing = class_folders(self.home)
        _check_num_classes(listing, 4, self.home)
        return self._random_split(listing)

    def _random_split(self, listing: Listing) -> Listing:
        """Keep the classes that the random split assigns to this split."""
        names = sorted(set(listing.names))
        train, test = split_classes(len(names), self.test_share, self.seed, "test")
        selected = {names[i] for i in (train if self.split == "train" else test)}
        return listing.keep([i for i, name in enumerate(listing.names) if name in selected])


def _check_num_classes(listing: Listing, minimum: int, folder: Path) -> None:
    """Raise unless there are enough classes for retrieval: two in each split."""
    names = sorted(set(listing.names))
    if len(names) >= minimum:
        return
    loose = sum(is_picture(entry.name) for entry in folder.iterdir())
    found = f"{len(names)} class folder{'s' * (len(names) != 1)} with images"
    found += f" ({', '.join(names)})" if names else ""
    found += f" and {loose} images outside class folders" if loose else ""
    raise ValueError(f"'{folder}' has {found}, fewer than {minimum} classes: {EXPECTED}.")
