"""Verify a data set on disk, down to every file, before training on it."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from gcahng.arguments import checked_arguments
from gcahng.data.catalogue import DATASETS
from gcahng.data.class_remarks import class_remarks
from gcahng.data.datasets.base import ImageDataset, check_listing
from gcahng.data.datasets.files import EmptySplitError, FileDataset, check_unreadable
from gcahng.data.datasets.published_dataset import PublishedDataset, Size
from gcahng.data.file_remarks import file_remarks
from gcahng.files import printable
from gcahng.pictures import Examination, examine_all

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
        missing: All missing files.
        unreadable: All unreadable files, each with the reason.
        turned: All files with an EXIF orientation other than upright.
        dark: All files that are read as black, or nearly so.
    """

    name: str
    parts: list[Part]
    problems: list[str]
    notes: list[str]
    missing: list[str]
    unreadable: list[tuple[str, str]]
    turned: list[str]
    dark: list[str]


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
        **args: Further arguments of the data set; `unreadable=skip` skips nothing here.

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
    splits, absent = _open(dataset, root, args)
    first = splits[0]
    published = isinstance(first, PublishedDataset)
    expected = first.expected if isinstance(first, PublishedDataset) else {}
    parts = [part for split in splits for part in _parts(split, expected)]
    examined = {file.path: file for file in _examine(splits, progress)}
    class_problems, class_notes = class_remarks(splits)
    file_problems, file_notes = file_remarks(splits, examined)
    # Only the training split may be absent, from a table of images to test on.
    allowed = [text for name, text in absent.items() if name == "train" and not published]
    problems = [
        *(text for text in absent.values() if text not in allowed),
        *_size_problems(parts),
        *_listed(splits, "problems"),
        *class_problems,
        *file_problems,
    ]
    notes = [*allowed, *_listed(splits, "notes"), *class_notes, *file_notes]
    files = examined.values()
    return Verification(
        first.name,
        parts,
        problems=[printable(problem) for problem in problems],
        notes=[printable(note) for note in notes],
        missing=[file.path for file in files if file.missing],
        unreadable=[(f.path, f.problem) for f in files if f.problem and not f.missing],
        turned=[file.path for file in files if file.turned],
        dark=[file.path for file in files if file.dark],
    )


def _open(
    dataset: str | type[ImageDataset], root: str | Path | None, args: dict[str, Any]
) -> tuple[list[ImageDataset], dict[str, str]]:
    """Return the splits, train first, and for each split without images a sentence about it."""
    found = DATASETS.find(dataset) if isinstance(dataset, str) else dataset
    given = {"root": root, "split": "train", **args}
    checked = checked_arguments(f"data set {dataset!r}", found, given)
    args = {name: checked[name] for name in args}
    if "unreadable" in args:
        check_unreadable(args.pop("unreadable"))
    splits: list[ImageDataset] = []
    absent: dict[str, str] = {}
    for name in sorted(found.SPLITS, key=lambda split: split != "train"):
        # A data set on disk may lack a split that is optional.
        if splits and name not in splits[0].SPLITS:
            continue
        try:
            splits.append(found(root=root, split=name, **args))
            check_listing(str(dataset), splits[-1])
        except EmptySplitError as error:
            absent[name] = str(error)
    if not splits:
        raise ValueError(next(iter(absent.values())))
    return splits, absent


def _parts(dataset: ImageDataset, expected: Mapping[str, Size]) -> Iterator[Part]:
    if dataset.is_query is None:
        masks = {dataset.split: torch.ones(len(dataset), dtype=torch.bool)}
    else:
        masks = {"query": dataset.is_query, "gallery": ~dataset.is_query}
    for name, mask in masks.items():
        size = Size(int(mask.sum()), len(dataset.labels[mask].unique()))
        yield Part(name, size, expected.get(name))


def _size_problems(parts: Iterable[Part]) -> Iterator[str]:
    for part in parts:
        if part.expected is not None and part.expected != part.size:
            yield (
                f"Expected {part.expected.images} images of {part.expected.classes} classes in "
                f"the {part.name} part, as published (got {part.size.images} of "
                f"{part.size.classes})."
            )


def _listed(splits: Iterable[ImageDataset], attribute: str) -> Iterator[str]:
    """Return the `problems` or `notes` that the data sets themselves have, each once."""
    listed = (getattr(split, attribute, ()) for split in splits)
    yield from dict.fromkeys(sentence for sentences in listed for sentence in sentences)


def _examine(splits: Iterable[ImageDataset], progress: Progress | None) -> Iterator[Examination]:
    files = [split for split in splits if isinstance(split, FileDataset)]
    paths = list(dict.fromkeys(path for split in files for path in split.paths))
    for done, result in enumerate(examine_all(paths), 1):
        yield result
        if progress is not None:
            progress(done, len(paths))
