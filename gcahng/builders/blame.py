"""Error messages that start with the setting that caused the error."""

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def blame_setting(path: str) -> Iterator[None]:
    """Prefix the ValueErrors of the block with a setting, unless they name it already.

    Other errors are passed on: they are mistakes of the component's code, not of its settings.

    Args:
        path: Such as `embedder.backbone.args`.

    Raises:
        ValueError: If the block raises one.
    """
    try:
        yield
    except ValueError as error:
        text = str(error)
        named = text.startswith(path) or f"'{path}." in text
        raise ValueError(text if named else f"{path}: {text}") from error
