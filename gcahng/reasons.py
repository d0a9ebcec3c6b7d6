"""The reason why something failed, in one line."""

import re

# Where in its source a library written in Rust raised an error.
RUST_PLACE = re.compile(r", \S+\.rs:\d+:\d+$")


def first_line(error: object) -> str:
    r"""The first line of an error's message; the name of its type if it has no message.

    What libraries' errors say about places in their own code, at its end and in the other lines,
    is left out.

    Example:
        >>> first_line(RuntimeError("sizes differ\nraised from tensor.cpp"))
        'sizes differ'
        >>> first_line(RuntimeError("Not found: pictures.lance, /src/commit.rs:653:26"))
        'Not found: pictures.lance'
        >>> first_line(TimeoutError())
        'TimeoutError'
    """
    lines = str(error).strip().splitlines()
    return RUST_PLACE.sub("", lines[0]) if lines else type(error).__name__
