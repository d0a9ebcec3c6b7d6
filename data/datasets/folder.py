"""Folder: one's own pictures, a folder for each class."""

from pathlib import Path

from gcahng.data.datasets.base import Transform, split_classes
from gcahng.data.datasets.files import FileDataset, Listing, class_folders
from gcahng.data.datasets.pictures import is_picture

LAYOUT = (
    "expected a folder of pictures for each class, either in train/ and test/ or, to be divided at "
    "random, directly in it"
)


class Folder(FileDataset):
    """Pictures in class folders: in `train/` and `test/`, or divided between them at random.

    Without `train/` and `test/` every class goes as a whole to one of the splits. Subfolders of a
    class folder count to the class; hidden files and files that are no pictures do not count.

    Args:
        root: The folder itself, or the one that `path` is relative to.
        split: 'train' or 'test'.
        transform: As in `FileDataset`.
        unreadable: As in `FileDataset`.
        path: Where the folder is, relative to `root` or absolute; None is `root` itself.
        test_share: The share of the classes to test on, where they are divided at random.
        seed: Of the division at random.

    Raises:
        FileNotFoundError: If there is no such folder.
        ValueError: If it has too few classes, or an argument is unknown.
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
        """The folder's own name."""
        return self.home.resolve().name

    @property
    def home(self) -> Path:
        """The folder that holds the classes, or `train/` and `test/`."""
        return self.folder / (self.path or "")

    def list_images(self) -> Listing:
        """List the class folders of the split."""
        if not self.home.is_dir():
            raise FileNotFoundError(f"There is no folder '{self.home}': {LAYOUT}.")
        if (self.home / "train").is_dir() and (self.home / "test").is_dir():
            place = self.home / self.split
            return _at_least(2, class_folders(place), place)
        return self._divided(_at_least(4, class_folders(self.home), self.home))

    def _divided(self, listing: Listing) -> Listing:
        """Keep the classes that chance gives to this split."""
        names = sorted(set(listing.names))
        train, test = split_classes(len(names), self.test_share, self.seed, "test")
        mine = {names[i] for i in (train if self.split == "train" else test)}
        return listing.keep([i for i, name in enumerate(listing.names) if name in mine])


def _at_least(classes: int, listing: Listing, folder: Path) -> Listing:
    """Return the listing if retrieval can do with it: two classes in each split."""
    names = sorted(set(listing.names))
    if len(names) >= classes:
        return listing
    loose = sum(is_picture(entry.name) for entry in folder.iterdir())
    found = f"{len(names)} class folder{'s' * (len(names) != 1)} with pictures"
    found += f" ({', '.join(names)})" if names else ""
    found += f" and {loose} loose pictures" if loose else ""
    raise ValueError(f"'{folder}' has {found}, fewer than {classes} classes: {LAYOUT}.")
