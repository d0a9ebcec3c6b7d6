"""Check a data set before training on it: counts, classes and every file."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Any

import torch

from gcahng.arguments import checked_arguments
from gcahng.data.catalogue import DATASETS
from gcahng.data.datasets.base import ImageDataset, check_findable, check_listing
from gcahng.data.datasets.files import EmptySplitError, FileDataset, box_problem, shorten
from gcahng.data.datasets.published_dataset import PublishedDataset, Size
from gcahng.files import printable
from gcahng.pictures import Examination, examine_all

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
        unreadable: Why a file cannot be read, by path.
        problems: One sentence per error; empty if the data set is valid.
        notes: One sentence per remark that is not an error.
    """

    name: str
    parts: list[Part] = field(default_factory=list)
    unreadable: dict[str, str] = field(default_factory=dict)
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
    paths = [path for split in splits if isinstance(split, FileDataset) for path in split.paths]
    paths = list(dict.fromkeys(paths))
    files = {}
    for done, file in enumerate(examine_all(paths), 1):
        files[file.path] = file
        if progress is not None:
            progress(done, len(paths))
    _check_classes(splits, found)
    _check_files(splits, files, found)
    for sentences in (found.problems, found.notes):
        sentences[:] = map(printable, sentences)
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
    for attribute in ("problems", "notes"):
        said = (getattr(split, attribute, ()) for split in splits)
        getattr(found, attribute).extend(dict.fromkeys(one for some in said for one in some))
    for split in splits:
        if split.num_classes < 2:
            found.problems.append(f"The {split.split} split has one class: it needs at least two.")
        if split.split != "train":
            try:
                check_findable(split)
            except ValueError as error:
                found.problems.append(str(error))
        if split.is_query is None:
            counts = split.labels.bincount(minlength=split.num_classes)
            single = [name for name, count in zip(split.classes, counts, strict=True) if count == 1]
            why = "batches repeat it" if split.split == "train" else "it has no match to find"
            found.notes.extend(_list(f"Classes of {split.split} with one image: {why}", single))
        else:
            queries, gallery = (
                {split.classes[label] for label in split.labels[mask].tolist()}
                for mask in (split.is_query, ~split.is_query)
            )
            alone = sorted(queries - gallery)
            found.problems.extend(_list("Query classes without an image in the gallery", alone))
    for one, other in combinations(splits, 2):
        shared = sorted(set(one.classes) & set(other.classes))
        kind = found.notes if "val" in (one.split, other.split) else found.problems
        kind.extend(_list(f"Classes in both {one.split} and {other.split}", shared))
    written: dict[str, set[str]] = defaultdict(set)
    for name in (name for split in splits for name in split.classes):
        written["".join(name.casefold().split())].add(name)
    same = [" and ".join(map(repr, sorted(names))) for names in written.values() if len(names) > 1]
    found.notes.extend(_list("Labels that differ only in case or spaces", same))


def _check_files(
    splits: Iterable[ImageDataset], files: Mapping[str, Examination], found: Verification
) -> None:
    """Report unreadable files, boxes beyond their file, and files of the same content."""
    boxes: list[str] = []
    places: dict[object, list[tuple[str, str, str]]] = defaultdict(list)
    for split in (split for split in splits if isinstance(split, FileDataset)):
        rows = zip(split.paths, split.boxes, split.sources, split.labels.tolist(), strict=True)
        for path, box, source, label in rows:
            file = files[path]
            if box and file.size and (problem := box_problem(box, file.size)):
                boxes.append(f"{source}: {problem}")
            places[file.digest or path, box].append((split.split, split.classes[label], source))
    across, within = [], []
    for (split_name, label_name, source), *others in places.values():
        first = f"{source} ({split_name}, '{label_name}')"
        for other in others:
            pair = f"{first} and {other[2]} ({other[0]}, '{other[1]}')"
            if other[0] != split_name:
                across.append(pair)
            elif other[1] != label_name:
                within.append(pair)
    found.unreadable.update({path: file.problem for path, file in files.items() if file.problem})
    wrong = [f"{path} ({why})" for path, why in found.unreadable.items()]
    found.problems.extend(_list("Missing or unreadable files", wrong))
    found.problems.extend(_list("Boxes that do not fit", boxes))
    # Nobody can correct a published data set.
    published = any(part.expected for part in found.parts)
    leaks = found.notes if published else found.problems
    leaks.extend(_list("Pictures in two splits, which must share none", across))
    found.notes.extend(_list("Pictures with two labels", within))
    dark = [file.path for file in files.values() if file.dark]
    found.notes.extend(_list("Black files, or of 16 bits with fewer in use", dark))


def _list(what: str, items: Sequence[str]) -> list[str]:
    return [f"{what} ({len(items)}): {shorten(items, SHOWN)}."] if items else []
