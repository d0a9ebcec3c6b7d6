"""The reason why something failed, in one line."""

import errno
import os
import re

# Where in its source a library written in Rust raised an error.
RUST_PLACE = re.compile(r", \S+\.rs:\d+:\d+$")
FULL = "the disk is full: make room on it"
LOADING = "lower data.workers, or set it to 0"
SHARED_MEMORY = (
    "/dev/shm is full, through which data loading processes send images: enlarge it (docker run "
    f"--shm-size=8g), or {LOADING}"
)
# What the system refuses, and what to do about it.
REFUSALS = {
    errno.ENOSPC: FULL,
    errno.EDQUOT: "the quota of this disk is used up: make room in it",
    errno.EFBIG: "it would be larger than the system allows (see `ulimit -f`)",
    errno.EMFILE: f"too many files are open: raise their number with `ulimit -n`, or {LOADING}",
}
# What libraries say if the system refuses something, where its own words are missing or mislead.
IN_LIBRARIES = {
    # First, because they may be files of the shared memory.
    rf"{os.strerror(errno.EMFILE)}|received \d+ items of ancdata": REFUSALS[errno.EMFILE],
    r"shared memory|\(shm\)|</torch_": SHARED_MEMORY,
    # Of torch and NumPy, which do not ask the system why.
    r"inline_container|PytorchStreamWriter|\d+ requested and \d+ written": FULL,
    r"DataLoader worker \(pid.*(killed|exited)": (
        "a data loading process has ended, perhaps because memory or file descriptors (`ulimit "
        f"-n`) ran out: {LOADING}"
    ),
}


def first_line(error: object) -> str:
    r"""Return the first line of an error's message; the name of its type if it has no message.

    >>> first_line(RuntimeError("sizes differ\nraised from tensor.cpp"))
    'sizes differ'
    """
    lines = str(error).strip().splitlines()
    return RUST_PLACE.sub("", lines[0]) if lines else type(error).__name__


def refusal(error: BaseException) -> str | None:
    """Return what the system refused, such as room on a disk, and what to do; else None.

    >>> refusal(RuntimeError("lance error: No space left on device (os error 28)"))
    'the disk is full: make room on it'
    """
    text = str(error)
    for pattern, sentence in IN_LIBRARIES.items():
        if re.search(pattern, text):
            return sentence
    if isinstance(error, OSError) and error.errno is not None:
        return REFUSALS.get(error.errno)
    # Libraries in other languages pass the system's words on.
    return next((said for code, said in REFUSALS.items() if os.strerror(code) in text), None)


def install_extra(name: str) -> str:
    """Return the command that installs an extra; the package is on no index."""
    return f'pip install ".[{name}]" in the folder of gcahng\'s source'
