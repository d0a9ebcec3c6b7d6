"""Emoji: the same emoji drawn by eight designers, made from free sets of drawings."""

from pathlib import Path
from typing import ClassVar

from gcahng.data.datasets.class_folders import class_folders
from gcahng.data.datasets.listing import Listing
from gcahng.data.datasets.published_dataset import DiskLayout, PublishedDataset, Size, Source
from gcahng.data.emoji.build import ATTRIBUTION, FOLDER, build_emoji


def _read(home: Path, split: str) -> Listing:
    return class_folders(home / split, [home / "train", home / "test"])


class Emoji(PublishedDataset):
    """Emoji as classes: pictures of 96 pixels by eight designers, four or more of each emoji.

    Like Stanford Online Products it has many classes of a few images each, and no class in both
    splits. Skin tones, gendered and family variants, clocks, flags and symbols are left out.

    The arguments are those of `PublishedDataset`.

    Source: The packages `@iconify-json/…` of npm; `ATTRIBUTION.md` in the data set's folder names
    the designers and their licences.

    Example:
        >>> Emoji("missing", split="test")
        Traceback (most recent call last):
            ...
        FileNotFoundError: There is no Emoji in 'missing' or ... Make it with: gcahng data fetch ...
    """

    folders = (FOLDER,)
    layouts = (DiskLayout(("train/", "test/", ATTRIBUTION), _read),)
    expected: ClassVar = {"train": Size(3500, 541), "test": Size(3962, 622)}
    source = Source(
        "https://icon-sets.iconify.design",
        "Make it with: gcahng data fetch emoji --root FOLDER",
        build=build_emoji,
    )
