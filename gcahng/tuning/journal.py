"""The journal of a study's trials: a file that a full disk or a crash does not spoil."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock

# Seconds after which the lock of a process that died is freed; writing takes milliseconds.
LOCK_PATIENCE = 30
# What every line of Optuna begins with.
START = b'{"op_code":'
# What Optuna raises for lines that do not follow from those before them.
_UNFIT = (AssertionError, AttributeError, KeyError, IndexError, TypeError, ValueError)


def open_journal(file: Path) -> JournalStorage:
    """Open the journal of a study, or begin it; half a line at its end is dropped.

    Raises:
        ValueError: If it is damaged otherwise, or another file; it is left as it is.
    """
    journal = _Journal(file)
    try:
        return JournalStorage(journal)
    except _UNFIT as error:
        raise ValueError(
            f"--storage: '{file}' is a damaged journal ({type(error).__name__} while its lines "
            "were followed): put back a copy of the file; to begin anew, move it and the study's "
            "folder away"
        ) from error


class _Journal(JournalFileBackend):
    """A journal file whose lines are appended whole or not at all."""

    def __init__(self, file: Path) -> None:
        # Optuna's other lock, a link to the journal, is never freed after its holder died if the
        # path means nothing in the link's folder, or on another machine.
        self.lock = JournalFileOpenLock(str(file), grace_period=LOCK_PATIENCE)
        super().__init__(str(file), lock_obj=self.lock)
        self.file = file
        with self._locked() as opened:
            _check(file, opened.read())
            _end_at_line(opened)

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Append lines.

        Raises:
            OSError: If they cannot be written, for instance because the disk is full.
        """
        lines = "".join(json.dumps(log, separators=(",", ":")) + "\n" for log in logs)
        with self._locked() as opened:
            end, left = _end_at_line(opened), lines.encode()
            try:
                # A full disk takes a part before it refuses.
                while left:
                    left = left[opened.write(left) :]
                os.fsync(opened.fileno())
            except OSError:
                opened.truncate(end)
                raise

    @contextmanager
    def _locked(self) -> Iterator[IO[bytes]]:
        self.lock.acquire()
        try:
            # Unbuffered: what a full disk does not take would be written again as the file closes.
            with self.file.open("r+b", buffering=0) as opened:
                yield opened
        except OSError as error:
            raise type(error)(error.errno, error.strerror, str(self.file)) from error
        finally:
            self.lock.release()


def _check(file: Path, content: bytes) -> None:
    """Raise unless all whole lines are of a journal, and the rest is the beginning of one."""
    *lines, rest = content.split(b"\n")
    wrong = [number for number, line in enumerate(lines, start=1) if not _is_entry(line)]
    if not wrong and not (START.startswith(rest[: len(START)]) and b"\0" not in rest):
        wrong = [len(lines) + 1]
    if wrong:
        good = wrong[0] - 1
        keep = f", or keep what is before it with `head -n {good}`" if good else ""
        raise ValueError(
            f"--storage: line {wrong[0]} of '{file}' is damaged, or not of a study's journal: put "
            f"back a copy of the file{keep}; to begin anew, move it and the study's folder away"
        )


def _is_entry(line: bytes) -> bool:
    if not line.startswith(START):
        return False
    with suppress(ValueError):
        return isinstance(json.loads(line), dict)
    return False


def _end_at_line(opened: IO[bytes]) -> int:
    """Go to the end of the last line; half a line behind it is dropped, a whole one is ended."""
    size = opened.seek(0, os.SEEK_END)
    if size:
        opened.seek(size - 1)
        if opened.read(1) != b"\n":
            opened.seek(0)
            content = opened.read()
            begin = content.rfind(b"\n") + 1
            if _is_entry(content[begin:]):
                return size + opened.write(b"\n")
            opened.truncate(begin)
    return opened.seek(0, os.SEEK_END)
