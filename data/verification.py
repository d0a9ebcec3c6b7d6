"""Checking a data set on disk, to the last file, before hours are spent on it."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import torch

from gcahng.data.catalogue import DATASETS
from gcahng.data.datasets.base import ImageDataset
from gcahng.data.datasets.files import FileDataset, shorten
from gcahng.data.datasets.pictures import Examination, examine_all
from gcahng.data.datasets.published_dataset import PublishedDataset, Size
from gcahng.registry import check_call

Progress = Callable[[int, int], None]
SHOWN = 10


@dataclass(frozen=True)
class Part:
    """A split, or the queries or the gallery of one.

    Attributes:
        name: The split, or 'query' and 'gallery' where the test split has both.
        size: How many images and classes there are.
        expected: How many there should be, or None where that is not known.
    """

    name: str
    size: Size
    expected: Size | None


@dataclass(frozen=True)
class Verification:
    """What `verify` found.

    Attributes:
        name: The data set's name.
        parts: The sizes of its parts.
        problems: A sentence for each thing that is wrong; none means that all is well.
        notes: A sentence for each thing worth knowing.
        missing: Every file that is not there.
        unreadable: Every file that cannot be read, and why.
        turned: Every file whose EXIF orientation is other than upright.
    """

    name: str
    parts: list[Part]
    problems: list[str]
    notes: list[str]
    missing: list[str]
    unreadable: list[tuple[str, str]]
    turned: list[str]


def verify(
    dataset: str | type[ImageDataset],
    root: str | Path | None,
    progress: Progress | None = None,
    **args: Any,
) -> Verification:
    """Open every split of a data set, count its images, and read each file to its end.

    Args:
        dataset: A key of `DATASETS`, or a class.
        root: The data set's own argument.
        progress: Called with how many files are read and how many there are.
        **args: The data set's further arguments; `unreadable` has no effect.

    Raises:
        FileNotFoundError: If the data set is not there.
        ValueError: If its list of images is wrong, or an argument is unknown.
    """
    args.pop("unreadable", None)
    splits = _open(dataset, root, args)
    train = splits["train"]
    expected = train.expected if isinstance(train, PublishedDataset) else {}
    parts = [part for split in splits.values() for part in _parts(split, expected)]
    examined = list(_examine(splits.values(), progress))
    missing = [file.path for file in examined if file.missing]
    unreadable = [
        (file.path, file.problem) for file in examined if file.problem and not file.missing
    ]
    turned = [file.path for file in examined if file.turned]
    return Verification(
        train.name,
        parts,
        [*_size_problems(parts), *_class_problems(splits), *_file_problems(missing, unreadable)],
        [*_notes(splits.values()), *_turn_notes(turned)],
        missing,
        unreadable,
        turned,
    )


def _open(
    dataset: str | type[ImageDataset], root: str | Path | None, args: dict[str, Any]
) -> dict[str, ImageDataset]:
    found = DATASETS.find(dataset) if isinstance(dataset, str) else dataset
    check_call(f"data set {dataset!r}", found, root=root, split="train", **args)
    train = found(root=root, split="train", **args)
    others = [split for split in train.SPLITS if split != "train"]
    return {"train": train} | {
        split: type(train)(root=root, split=split, **args) for split in others
    }


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


def _class_problems(splits: Mapping[str, ImageDataset]) -> Iterator[str]:
    listed = (getattr(split, "problems", ()) for split in splits.values())
    yield from dict.fromkeys(problem for problems in listed for problem in problems)
    for first, second in combinations(splits.values(), 2):
        if shared := sorted(set(first.classes) & set(second.classes)):
            yield (
                f"Classes in both {first.split} and {second.split} ({len(shared)}), which must "
                f"share none: {shorten(shared, SHOWN)}."
            )
    for split in splits.values():
        if split.num_classes < 2:
            yield (
                f"The {split.split} split has one class: training needs two, and among images of "
                "one class every answer is right."
            )
        if split.split != "train" and (problem := _unfindable(split, split.split)):
            yield problem
        elif lost := _unanswerable(split):
            yield (
                f"Query classes without an image in the gallery ({len(lost)}), so that their "
                f"queries have nothing to find: {shorten(lost, SHOWN)}."
            )


def check_findable(dataset: ImageDataset, split: str | None = None) -> None:
    """See that retrieval can be measured: at least one query has another image to find.

    Args:
        dataset: What is to be measured.
        split: What to call it; None takes its own name.

    Raises:
        ValueError: If no query has anything to find.
    """
    if problem := _unfindable(dataset, split or dataset.split):
        raise ValueError(problem)


def _unfindable(dataset: ImageDataset, split: str) -> str | None:
    if dataset.is_query is None:
        findable = bool((dataset.labels.bincount() > 1).any())
    else:
        queries, gallery = dataset.labels[dataset.is_query], dataset.labels[~dataset.is_query]
        findable = bool(torch.isin(queries, gallery).any())
    if findable:
        return None
    return (
        f"No query of the {split} split has another image of its class to find: give its classes "
        "at least two images each."
    )


def _unanswerable(dataset: ImageDataset) -> list[str]:
    """Return the classes of the queries that the gallery lacks."""
    if dataset.is_query is None:
        return []
    queries = set(dataset.labels[dataset.is_query].tolist())
    gallery = set(dataset.labels[~dataset.is_query].tolist())
    return [dataset.classes[label] for label in sorted(queries - gallery)]


def _file_problems(missing: list[str], unreadable: list[tuple[str, str]]) -> Iterator[str]:
    if missing:
        yield f"Files that are not there ({len(missing)}): {shorten(missing, SHOWN)}."
    if unreadable:
        shown = shorten([f"{path} ({why})" for path, why in unreadable], SHOWN)
        yield f"Files that cannot be read ({len(unreadable)}): {shown}."


def _notes(splits: Iterable[ImageDataset]) -> Iterator[str]:
    for split in splits:
        yield from _lone_notes(split)
    listed = (getattr(split, "notes", ()) for split in splits)
    yield from dict.fromkeys(note for notes in listed for note in notes)


def _lone_notes(dataset: ImageDataset) -> Iterator[str]:
    """Tell of classes with one image, which nothing else can match."""
    counts = dataset.labels.bincount(minlength=dataset.num_classes)
    lone = [dataset.classes[label] for label in (counts == 1).nonzero().flatten().tolist()]
    if not lone or dataset.is_query is not None:
        return
    means = "which has nothing to find"
    if dataset.split == "train":
        means = "which a batch draws with replacement"
    yield (
        f"Classes of {dataset.split} with one image ({len(lone)} of {dataset.num_classes}), "
        f"{means}: {shorten(lone, SHOWN)}."
    )


def _turn_notes(turned: list[str]) -> list[str]:
    if not turned:
        return []
    return [
        f"Files with an EXIF orientation ({len(turned)}), set upright here but not by the "
        f"published loader: {shorten(turned, SHOWN)}."
    ]


def _examine(splits: Iterable[ImageDataset], progress: Progress | None) -> Iterator[Examination]:
    files = [split for split in splits if isinstance(split, FileDataset)]
    paths = list(dict.fromkeys(path for split in files for path in split.paths))
    for done, result in enumerate(examine_all(paths), 1):
        yield result
        if progress is not None:
            progress(done, len(paths))
