"""Folder: your own images, one folder per class."""

from pathlib import Path

from gcahng.data.datasets.base import Transform, split_classes
from gcahng.data.datasets.files import FileDataset, Listing, class_folders
from gcahng.data.datasets.pictures import is_picture

EXPECTED = (
    "expected one folder of images per class, either inside train/ and test/ or, for a random "
    "class split, directly in this folder"
)


class Folder(FileDataset):
    """Images in one folder per class, inside `train/` and `test/` or split at random.

    Without `train/` and `test/`, a random `test_share` of the classes forms the test split.
    Images in subfolders of a class folder belong to the class; hidden files and files that are
    not images are ignored.

    Args:
        root: The folder itself, or the base folder of `path`.
        split: 'train' or 'test'.
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

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.home.resolve().name

    @property
    def home(self) -> Path:
        """The folder that contains the class folders, or `train/` and `test/`."""
        return self.folder / (self.path or "")

    def list_images(self) -> Listing:
        """List the class folders of the split."""
        if not self.home.is_dir():
            raise FileNotFoundError(f"There is no folder '{self.home}': {EXPECTED}.")
        if (self.home / "train").is_dir() and (self.home / "test").is_dir():
            folder = self.home / self.split
            listing = class_folders(folder)
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
