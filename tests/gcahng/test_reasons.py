"""What the system refuses, in the words of those who pass it on."""

import errno
import os

import pytest

from gcahng.reasons import refusal


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "a.npy"), "disk is full"),
        (RuntimeError("[enforce fail at inline_container.cc:664] . unexpected pos 64"), "disk"),
        (RuntimeError("lance error: Too many open files (os error 24)"), "ulimit -n"),
        (RuntimeError("received 0 items of ancdata"), "ulimit -n"),
        (RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed. "), "data.workers"),
        (
            RuntimeError(
                "Caught RuntimeError in DataLoader worker process 0.\nOriginal Traceback:\n  …\n"
                "RuntimeError: unable to allocate shared memory(shm) for file </torch_1_2_0>: No "
                "space left on device (28)"
            ),
            "--shm-size",
        ),
    ],
)
def test_a_refusal_says_what_to_do(error: Exception, words: str) -> None:
    said = refusal(error)
    assert said is not None
    assert words in said
    assert "\n" not in said


@pytest.mark.parametrize(
    "error",
    [
        FileNotFoundError(errno.ENOENT, "No such file or directory", "a.npy"),
        ValueError("batch: 3 images cannot be shared by 4 processes"),
        KeyError("shm"),
        SystemExit(1),
        OSError("cannot write 'a.npy': the disk is full: make room on it"),
    ],
)
def test_other_errors_are_none(error: BaseException) -> None:
    assert refusal(error) is None
