"""The list of a split's image files."""

from collections.abc import Sequence
from dataclasses import dataclass

Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class Listing:
    """The image files of one split.

    Attributes:
        paths: The file of each image.
        names: The class name of each image.
        is_query: Whether each image is a query; None if every image is a query against all others.
        problems: Errors in the list itself, one sentence each, reported by `verify`.
        notes: Remarks on the list, one sentence each, reported by `verify`.
        boxes: The part of each file that is the image, as left, top, right and bottom in pixels
            of the upright image, or None for all of it; None if no image has a box.
        sources: Where each image is listed, such as a line of a table; None for the file itself.

    Example:
        >>> Listing(["1.jpg", "2.jpg"], ["cat", "dog"]).keep([1]).names
        ['dog']
    """

    paths: list[str]
    names: list[str]
    is_query: list[bool] | None = None
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    boxes: list[Box | None] | None = None
    sources: list[str] | None = None

    def keep(self, indices: Sequence[int]) -> "Listing":
        """Return a listing of the selected images only."""
        return Listing(
            [self.paths[i] for i in indices],
            [self.names[i] for i in indices],
            None if self.is_query is None else [self.is_query[i] for i in indices],
            self.problems,
            self.notes,
            None if self.boxes is None else [self.boxes[i] for i in indices],
            None if self.sources is None else [self.sources[i] for i in indices],
        )


def shorten(items: Sequence[str], shown: int) -> str:
    """Join the first `shown` items and append the number of the others."""
    more = f" and {len(items) - shown} more" if len(items) > shown else ""
    return ", ".join(items[:shown]) + more
