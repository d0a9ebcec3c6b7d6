"""What `verify` says about the classes of a data set, and whether retrieval can be measured."""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from itertools import combinations

import torch

from gcahng.data.datasets.base import ImageDataset
from gcahng.data.datasets.listing import shorten

SHOWN = 10
NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]*)?")


def class_remarks(splits: Sequence[ImageDataset]) -> tuple[list[str], list[str]]:
    """Return problems and notes, one sentence each.

    Args:
        splits: All splits of a data set.
    """
    problems, notes = _shared_class_remarks(splits)
    singles = [note for split in splits for note in _single_image_notes(split)]
    return (
        [*problems, *_class_problems(splits)],
        [*singles, *notes, *_validation_note(splits), *_spelling_notes(splits)],
    )


def check_findable(dataset: ImageDataset, split: str | None = None) -> None:
    """Raise unless retrieval can be measured: at least one query has a correct match.

    Args:
        dataset: The data set to be evaluated.
        split: The split's name in the error message; None takes `dataset.split`.

    Raises:
        ValueError: If no query has another image of its class to retrieve.

    Example:
        >>> import torch
        >>> from gcahng.data import build_dataset
        >>> dataset = build_dataset("digits", "train")
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


def _class_problems(splits: Iterable[ImageDataset]) -> Iterator[str]:
    for split in splits:
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


def _shared_class_remarks(splits: Iterable[ImageDataset]) -> tuple[list[str], list[str]]:
    """Report classes in two splits.

    Returns:
        Problems, and notes on the validation split, which may share classes with others.
    """
    problems, notes = [], []
    for first, second in combinations(splits, 2):
        shared = sorted(set(first.classes) & set(second.classes))
        if not shared:
            continue
        both = f"Classes in both {first.split} and {second.split} ({len(shared)})"
        if "val" in (first.split, second.split):
            notes.append(
                f"{both}, so the best epoch is not chosen on classes that occur nowhere else: "
                f"{shorten(shared, SHOWN)}."
            )
        else:
            problems.append(f"{both}, which must share none: {shorten(shared, SHOWN)}.")
    return problems, notes


def _validation_note(splits: Iterable[ImageDataset]) -> Iterator[str]:
    if any(split.split == "val" for split in splits):
        yield (
            "The validation split 'val' chooses the best epoch, in place of classes held out from "
            "training; with data.validation=0 it is not used."
        )


def _spelling_notes(splits: Iterable[ImageDataset]) -> list[str]:
    """Report labels that differ only in writing, such as `1` and `1.0`, or `c00` and `C00`."""
    written: dict[object, dict[str, None]] = defaultdict(dict)
    for split in splits:
        for name in split.classes:
            written[_spelled(name)][name] = None
    same = [" and ".join(map(repr, names)) for names in written.values() if len(names) > 1]
    if not same:
        return []
    return [
        f"Labels that differ only in writing, and so are separate classes ({len(same)}): "
        f"{shorten(same, SHOWN)}."
    ]


def _spelled(name: str) -> object:
    """Return what is left of a label without case, spaces around it, and other ways to write it."""
    text = " ".join(unicodedata.normalize("NFKC", name).casefold().split())
    return Fraction(text) if NUMBER.fullmatch(text) else text


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
