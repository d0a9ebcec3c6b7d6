"""Error messages that start with the setting that caused the error."""

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def blame_setting(path: str) -> Iterator[None]:
    """Prefix errors of the block with the dotted path of a setting.

    Args:
        path: Such as `embedder.backbone.args`.

    Raises:
        ValueError: If the block raises a ValueError or a TypeError.
    """
    try:
        yield
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path}: {error}") from error
