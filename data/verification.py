"""Verify a data set on disk, down to every file, before training on it."""

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
    """Open every split of a data set, count its images and classes, and decode every file.

    Args:
        dataset: A key of `DATASETS`, or a class.
        root: As in the data set.
        progress: Called with the number of files read so far and the total.
        **args: Further arguments of the data set; `unreadable` is ignored.

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
                f"The {split.split} split has one class: training and retrieval need at least two."
            )
        if split.split != "train" and (problem := _no_match_problem(split, split.split)):
            yield problem
        elif unmatched := _query_classes_without_gallery(split):
            yield (
                f"Query classes without an image in the gallery ({len(unmatched)}), so their "
                f"queries have no correct match: {shorten(unmatched, SHOWN)}."
            )


def check_findable(dataset: ImageDataset, split: str | None = None) -> None:
    """Raise unless retrieval can be measured: at least one query has a correct match.

    Args:
        dataset: The data set to be evaluated.
        split: The split's name in the error message; None takes `dataset.split`.

    Raises:
        ValueError: If no query has another image of its class to retrieve.

    Example:
        >>> dataset = DATASETS.build("digits", root=None)
        >>> check_findable(dataset)
        >>> dataset.labels = torch.arange(len(dataset))  # one image per class
        >>> check_findable(dataset)
        Traceback (most recent call last):
            ...
        ValueError: No query of the train split has another image of its class to retrieve: ...
    """
    if problem := _no_match_problem(dataset, split or dataset.split):
        raise ValueError(problem)


def _no_match_problem(dataset: ImageDataset, split: str) -> str | None:
    if dataset.is_query is None:
        findable = bool((dataset.labels.bincount() > 1).any())
    else:
        queries, gallery = dataset.labels[dataset.is_query], dataset.labels[~dataset.is_query]
        findable = bool(torch.isin(queries, gallery).any())
    if findable:
        return None
    return (
        f"No query of the {split} split has another image of its class to retrieve: its classes "
        "need at least two images each."
    )


def _query_classes_without_gallery(dataset: ImageDataset) -> list[str]:
    """Return the classes that have queries but no gallery image."""
    if dataset.is_query is None:
        return []
    queries = set(dataset.labels[dataset.is_query].tolist())
    gallery = set(dataset.labels[~dataset.is_query].tolist())
    return [dataset.classes[label] for label in sorted(queries - gallery)]


def _file_problems(missing: list[str], unreadable: list[tuple[str, str]]) -> Iterator[str]:
    if missing:
        yield f"Missing files ({len(missing)}): {shorten(missing, SHOWN)}."
    if unreadable:
        shown = shorten([f"{path} ({why})" for path, why in unreadable], SHOWN)
        yield f"Unreadable files ({len(unreadable)}): {shown}."


def _notes(splits: Iterable[ImageDataset]) -> Iterator[str]:
    for split in splits:
        yield from _single_image_notes(split)
    listed = (getattr(split, "notes", ()) for split in splits)
    yield from dict.fromkeys(note for notes in listed for note in notes)


def _single_image_notes(dataset: ImageDataset) -> Iterator[str]:
    """Report classes with a single image."""
    counts = dataset.labels.bincount(minlength=dataset.num_classes)
    single = [dataset.classes[label] for label in (counts == 1).nonzero().flatten().tolist()]
    if not single or dataset.is_query is not None:
        return
    effect = "so their queries have no correct match"
    if dataset.split == "train":
        effect = "which batches repeat"
    yield (
        f"Classes of {dataset.split} with one image ({len(single)} of {dataset.num_classes}), "
        f"{effect}: {shorten(single, SHOWN)}."
    )


def _turn_notes(turned: list[str]) -> list[str]:
    if not turned:
        return []
    return [
        f"Files with an EXIF orientation ({len(turned)}), rotated upright here but not by the "
        f"published loader: {shorten(turned, SHOWN)}."
    ]


def _examine(splits: Iterable[ImageDataset], progress: Progress | None) -> Iterator[Examination]:
    files = [split for split in splits if isinstance(split, FileDataset)]
    paths = list(dict.fromkeys(path for split in files for path in split.paths))
    for done, result in enumerate(examine_all(paths), 1):
        yield result
        if progress is not None:
            progress(done, len(paths))
