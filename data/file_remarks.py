"""What `verify` says about the files of a data set."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from gcahng.data.datasets.base import ImageDataset
from gcahng.data.datasets.files import FileDataset, box_problem
from gcahng.data.datasets.listing import shorten
from gcahng.data.datasets.published_dataset import PublishedDataset
from gcahng.pictures import Examination

SHOWN = 10


def file_remarks(
    splits: Sequence[ImageDataset], examined: Mapping[str, Examination]
) -> tuple[list[str], list[str]]:
    """Return problems and notes, one sentence each.

    Args:
        splits: All splits of a data set.
        examined: The result for each of their files, by path.
    """
    across, within = _same_picture_remarks(splits, examined)
    # Nobody can correct a published data set.
    published = isinstance(splits[0], PublishedDataset)
    files = examined.values()
    return (
        [
            *([] if published else across),
            *_file_problems(files),
            *_box_problems(splits, examined),
        ],
        [*(across if published else []), *within, *_turn_notes(files), *_dark_notes(files)],
    )


def _file_problems(files: Iterable[Examination]) -> Iterator[str]:
    missing = [file.path for file in files if file.missing]
    unreadable = [
        f"{file.path} ({file.problem})" for file in files if file.problem and not file.missing
    ]
    if missing:
        yield f"Missing files ({len(missing)}): {shorten(missing, SHOWN)}."
    if unreadable:
        yield f"Unreadable files ({len(unreadable)}): {shorten(unreadable, SHOWN)}."


def _turn_notes(files: Iterable[Examination]) -> Iterator[str]:
    if turned := [file.path for file in files if file.turned]:
        yield (
            f"Files with an EXIF orientation ({len(turned)}), rotated upright here but, except "
            f"TIFF, not by the published loader: {shorten(turned, SHOWN)}."
        )


def _dark_notes(files: Iterable[Examination]) -> Iterator[str]:
    if dark := [file.path for file in files if file.dark]:
        yield (
            f"Files that are black or nearly so ({len(dark)}); those with 8 to 12 bits of grey in "
            f"a file of 16 or 32 bits must be scaled to its full range: {shorten(dark, SHOWN)}."
        )


@dataclass(frozen=True)
class _Place:
    """Where an image is used."""

    split: str
    label: str
    source: str

    def __str__(self) -> str:
        return f"{self.source} ({self.split}, '{self.label}')"


def _same_picture_remarks(
    splits: Iterable[ImageDataset], examined: Mapping[str, Examination]
) -> tuple[list[str], list[str]]:
    """Report pictures, by their content, in two splits or with two labels.

    Returns:
        Those in two splits, and those with two labels in one split.
    """
    places: dict[object, list[_Place]] = defaultdict(list)
    for split in splits:
        if isinstance(split, FileDataset):
            columns = zip(
                split.paths, split.boxes, split.sources, split.labels.tolist(), strict=True
            )
            for path, box, source, label in columns:
                picture = examined[path].digest or path
                places[picture, box].append(_Place(split.split, split.classes[label], source))
    groups = list(places.values())
    across = [pair for group in groups if (pair := _first_pair(group, "split"))]
    within = [
        pair
        for group in groups
        if not _first_pair(group, "split") and (pair := _first_pair(group, "label"))
    ]
    return (
        _pair_sentence("Pictures in two splits, which must share none", across),
        _pair_sentence("Pictures with two labels", within),
    )


def _first_pair(group: Sequence[_Place], attribute: str) -> tuple[_Place, _Place] | None:
    """Return the first place and the first one whose attribute differs."""
    first = group[0]
    differing = (other for other in group if getattr(other, attribute) != getattr(first, attribute))
    other = next(differing, None)
    return None if other is None else (first, other)


def _pair_sentence(what: str, pairs: Sequence[tuple[_Place, _Place]]) -> list[str]:
    if not pairs:
        return []
    shown = shorten([f"{first} and {second}" for first, second in pairs], SHOWN)
    return [f"{what} ({len(pairs)}): {shown}."]


def _box_problems(
    splits: Iterable[ImageDataset], examined: Mapping[str, Examination]
) -> Iterator[str]:
    """Report boxes that reach beyond their file."""
    found = []
    for split in splits:
        if isinstance(split, FileDataset):
            for path, box, source in zip(split.paths, split.boxes, split.sources, strict=True):
                size = examined[path].size
                if box is not None and size is not None and (problem := box_problem(box, size)):
                    found.append(f"{source}: {problem}")
    if found:
        yield f"Boxes that do not fit ({len(found)}): {shorten(found, SHOWN)}."
