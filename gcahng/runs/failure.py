"""How a training process tells the process that started it why it failed."""

import os
from contextlib import suppress

from gcahng.files import write_text

#: Environment variable with the path of the file that takes the error sentence.
FAILURE_FILE = "GCAHNG_FAILURE_FILE"


def write_failure(sentence: str) -> None:
    """Write an error sentence to the file that the environment names; nothing without one."""
    path = os.environ.get(FAILURE_FILE)
    if path:
        # If the disk is full, the sentence is in the log, too.
        with suppress(OSError):
            write_text(path, sentence + "\n")
