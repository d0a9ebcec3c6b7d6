"""The reason why something failed, in one line."""


def first_line(error: object) -> str:
    r"""The first line of an error's message; the name of its type if it has no message.

    The other lines of libraries' errors say where in their code they were raised.

    Example:
        >>> first_line(RuntimeError("sizes differ\nraised from tensor.cpp"))
        'sizes differ'
        >>> first_line(TimeoutError())
        'TimeoutError'
    """
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
