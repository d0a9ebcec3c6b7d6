"""Say which setting is to blame when a component refuses its arguments."""

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def blame_setting(path: str) -> Iterator[None]:
    """Put the dotted path of a setting before the error that it causes.

    Args:
        path: Such as `embedder.backbone.args`.

    Raises:
        ValueError: In place of any ValueError or TypeError of the block.
    """
    try:
        yield
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path}: {error}") from error
