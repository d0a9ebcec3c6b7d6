"""Check a data set before training on it: counts, classes and every file."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Any

import torch

from gcahng.arguments import checked_arguments
from gcahng.data.catalogue import DATASETS
from gcahng.data.datasets.base import ImageDataset, check_findable, check_listing
from gcahng.data.datasets.files import EmptySplitError, FileDataset, shorten
from gcahng.data.datasets.published_dataset import PublishedDataset, Size
from gcahng.files import printable
from gcahng.pictures import examine_all

SHOWN = 10
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Part:
    """A split, or the queries or gallery of a split.

    Attributes:
        name: The split; 'query' or 'gallery' for the parts of a test split that has both.
        size: Numbers of images and classes found.
        expected: Published numbers; None if unknown.
    """

    name: str
    size: Size
    expected: Size | None


@dataclass(frozen=True)
class Verification:
    """The result of `verify`.

    Attributes:
        name: The data set's name.
        parts: The sizes of its parts.
        problems: One sentence per error; empty if the data set is valid.
        notes: One sentence per remark that is not an error.
    """

    name: str
    parts: list[Part] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def verify(
    dataset: str | type[ImageDataset],
    root: str | Path | None,
    progress: Progress | None = None,
    **args: Any,
) -> Verification:
    """Open every split of a data set, count its images and classes, and decode every file.

    Args:
        dataset: A key of `DATASETS`, or a class.
        root: As in the data set.
        progress: Called with the number of files read so far and the total.
        **args: Further arguments of the data set; `unreadable` has no effect here.

    Raises:
        FileNotFoundError: If the data set is missing.
        ValueError: If its list of images is invalid, or an argument is unknown.

    Example:
        >>> result = verify("digits", root=None)
        >>> [(part.name, part.size.images, part.size.classes) for part in result.parts]
        [('train', 901, 5), ('test', 896, 5)]
        >>> result.problems
        []
    """
    kind = DATASETS.find(dataset) if isinstance(dataset, str) else dataset
    args = checked_arguments(f"data set {dataset!r}", kind, args, filled=DATASETS.filled)
    args.pop("unreadable", None)
    splits, absent = _open(str(dataset), kind, root, args)
    expected = kind.expected if issubclass(kind, PublishedDataset) else {}
    found = Verification(splits[0].name)
    for split in splits:
        masks = {split.split: torch.ones(len(split), dtype=torch.bool)}
        if split.is_query is not None:
            masks = {"query": split.is_query, "gallery": ~split.is_query}
        for name, mask in masks.items():
            size = Size(int(mask.sum()), len(split.labels[mask].unique()))
            found.parts.append(Part(name, size, expected.get(name)))
    for name, sentence in absent.items():
        # A table of images to test on needs no training split.
        (found.notes if name == "train" and not expected else found.problems).append(sentence)
    _check_classes(splits, found)
    _check_files([one for one in splits if isinstance(one, FileDataset)], found, progress)
    for sentences in (found.problems, found.notes):
        sentences[:] = dict.fromkeys(map(printable, sentences))
    return found


def _open(
    what: str, kind: type[ImageDataset], root: str | Path | None, args: dict[str, Any]
) -> tuple[list[ImageDataset], dict[str, str]]:
    """Return the splits, train first, and for each split without images a sentence about it."""
    splits: list[ImageDataset] = []
    absent: dict[str, str] = {}
    for name in sorted(kind.SPLITS, key=lambda split: split != "train"):
        # A data set on disk may lack a split that is optional.
        if splits and name not in splits[0].SPLITS:
            continue
        try:
            splits.append(kind(root=root, split=name, **args))
            check_listing(what, splits[-1])
        except EmptySplitError as error:
            absent[name] = str(error)
    if not splits:
        raise ValueError(next(iter(absent.values())))
    return splits, absent


def _check_classes(splits: Sequence[ImageDataset], found: Verification) -> None:
    for part in found.parts:
        if part.expected is not None and part.expected != part.size:
            found.problems.append(
                f"Expected {part.expected.images} images of {part.expected.classes} classes in the "
                f"{part.name} part, as published (got {part.size.images} of {part.size.classes})."
            )
    for split in splits:
        found.notes.extend(getattr(split, "notes", ()))
        if split.num_classes < 2:
            found.problems.append(f"The {split.split} split has one class: it needs at least two.")
        if split.split != "train":
            try:
                check_findable(split)
            except ValueError as error:
                found.problems.append(str(error))
        if split.is_query is None:
            single = [split.classes[i] for i in (split.labels.bincount() == 1).nonzero().flatten()]
            why = "batches repeat it" if split.split == "train" else "it has no match to find"
            found.notes.extend(_list(f"Classes of {split.split} with one image: {why}", single))
        else:
            queries, gallery = split.labels[split.is_query], split.labels[~split.is_query]
            alone = set(queries.tolist()) - set(gallery.tolist())
            names = sorted(split.classes[label] for label in alone)
            found.problems.extend(_list("Query classes without an image in the gallery", names))
    for one, other in combinations(splits, 2):
        shared = sorted(set(one.classes) & set(other.classes))
        kind = found.notes if "val" in (one.split, other.split) else found.problems
        kind.extend(_list(f"Classes in both {one.split} and {other.split}", shared))


def _check_files(
    splits: Sequence[FileDataset], found: Verification, progress: Progress | None
) -> None:
    """Report unreadable files, and files of the same content with another split or label."""
    total = len(paths := list(dict.fromkeys(path for split in splits for path in split.paths)))
    contents: dict[str, object] = {}
    wrong = []
    for done, file in enumerate(examine_all(paths), 1):
        contents[file.path] = file.digest or file.path
        if file.problem:
            wrong.append(f"{file.path} ({file.problem})")
        if progress is not None:
            progress(done, total)
    places: dict[object, list[tuple[str, str, str]]] = defaultdict(list)
    for split in splits:
        for path, label in zip(split.paths, split.labels.tolist(), strict=True):
            places[contents[path]].append((split.split, split.classes[label], path))
    across, within = [], []
    for first, *others in places.values():
        for other in others:
            pair = " and ".join(f"{one[2]} ({one[0]}, '{one[1]}')" for one in (first, other))
            if other[0] != first[0]:
                across.append(pair)
            elif other[1] != first[1]:
                within.append(pair)
    found.problems.extend(_list("Missing or unreadable files", wrong))
    # Nobody can correct a published data set.
    leaks = found.notes if any(part.expected for part in found.parts) else found.problems
    leaks.extend(_list("Pictures in two splits, which must share none", across))
    found.notes.extend(_list("Pictures with two labels", within))


def _list(what: str, items: Sequence[str]) -> list[str]:
    return [f"{what} ({len(items)}): {shorten(items, SHOWN)}."] if items else []
