"""Error messages that start with the setting that caused the error."""

from collections.abc import Iterator
from contextlib import contextmanager

from gcahng.reasons import first_line, refusal


@contextmanager
def blame_setting(path: str) -> Iterator[None]:
    """Prefix errors of the block with the dotted path of a setting.

    Args:
        path: Such as `embedder.backbone.args`.

    Raises:
        ValueError: If the block raises an error that a wrong value can cause; torch's own, for
            sizes that are negative or do not fit into memory, among them.
    """
    try:
        yield
    except (ValueError, TypeError) as error:
        # Torch adds where in its own code it was raised.
        reason = str(error).partition("\nException raised from")[0]
        raise ValueError(f"{path}: {' '.join(reason.split())}") from error
    except (RuntimeError, AssertionError, ArithmeticError) as error:
        if refusal(error) is not None:
            raise
        raise ValueError(f"{path}: {first_line(error)}") from error
