"""Who works on what: locks of one machine, and claims that machines share through a folder.

A lock of the operating system ends with its process, but a network file system may not pass it on
to other machines. A claim needs nothing of the system: it is a file that its holder touches from
time to time, so that a claim whose holder has died grows old and another process takes it over.

The claims on one piece of work are numbered files, `NAME.1`, `NAME.2` and so on, of which the last
one counts. To claim means to create the next number, which only one process can do. None is ever
deleted: a process that was held up since it looked finds that number taken.
"""

import os
import socket
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

# In the folder that it locks, while it is locked.
LOCK = ".claim"
#: Environment variable with the claim that a training keeps alive for the process that started it.
CLAIM_FILE = "GCAHNG_CLAIM_FILE"
# Seconds between two touches, and without one until the holder counts as dead. A network file
# system may show another machine's touches up to a minute late.
PERIOD, PATIENCE = 10.0, 90.0
RELEASED = "released\n"
TAKEN_OVER = "error: another process has taken this run over"


@contextmanager
def exclusive_lock(folder: Path) -> Iterator[None]:
    """Lock a folder for the duration of the block, or for as long as this process lives.

    A folder that got no file in it is removed, as are folders around it that were created with it.
    """
    made = [one for one in folder.parents if not one.exists()]
    with ExitStack() as stack:
        try:
            stack.enter_context(file_lock(folder / LOCK))
        except BlockingIOError:
            raise ValueError(
                f"'{folder}' is in use by another process: wait until it has ended, or stop it"
            ) from None
        try:
            yield
        finally:
            # Another process may use them by now, or have removed them.
            with suppress(OSError):
                (folder / LOCK).unlink()
                for one in (folder, *made):
                    one.rmdir()


@contextmanager
def file_lock(path: Path, *, wait: bool = False) -> Iterator[None]:
    """Lock a file, created if missing, for the duration of the block."""
    try:
        import fcntl
    except ImportError:
        raise OSError(
            f"'{path}' cannot be locked on Windows; use Linux, macOS or WSL2 instead"
        ) from None
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            # Its last holder may have removed it with its folder.
            there = False
            with suppress(FileNotFoundError):
                there = os.path.samestat(os.fstat(file.fileno()), path.stat())
            if there:
                yield
                return


class Claim:
    """A claim that this process holds or keeps alive, until it is released or the process ends.

    With `end_if_lost`, this process ends if another one has taken the claim over, as after it was
    suspended for longer than the patience of the others.
    """

    def __init__(self, file: Path, end_if_lost: bool = False) -> None:
        # Absolute, so that it stays the same file if the process changes its folder.
        self.file, self.end_if_lost = file.absolute(), end_if_lost
        self.released = threading.Event()
        self.thread = threading.Thread(target=self._touch, daemon=True)
        self.thread.start()

    @property
    def lost(self) -> bool:
        """Whether another process has taken it over."""
        return _newest(self.file.with_suffix("")) != self.file

    def release(self) -> None:
        """Let others claim the work."""
        self.stop()
        # It may be gone with the whole folder.
        with suppress(FileNotFoundError), self.file.open("r+") as file:
            file.truncate()
            file.write(RELEASED)

    def stop(self) -> None:
        """Stop touching the file."""
        self.released.set()
        self.thread.join()

    def _touch(self) -> None:
        while not self.released.wait(PERIOD):
            if self.end_if_lost and self.lost:
                print(TAKEN_OVER, file=sys.stderr, flush=True)
                os._exit(1)
            # A network file system may be away for a moment.
            with suppress(OSError):
                # Without an explicit time, the file system uses its own clock.
                os.utime(self.file)


def take_claim(path: Path) -> Claim | None:
    """Claim a piece of work, unless a living process holds it.

    Look at the work again after claiming it: the last holder may have done it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    newest = _newest(path)
    if newest is not None and not _is_free(newest):
        return None
    claimed = path.with_name(f"{path.name}.{_number(newest) + 1 if newest else 1}")
    try:
        with claimed.open("x") as file:
            file.write(f"{socket.gethostname()}, process {os.getpid()}\n")
    except FileExistsError:
        return None
    return Claim(claimed)


def claim_holder(path: Path) -> str | None:
    """Name who holds a claim, as "HOST, process NUMBER"; None for a claim that was released."""
    newest = _newest(path)
    text = RELEASED if newest is None else newest.read_text(encoding="utf-8")
    return None if text == RELEASED else text.strip()


@contextmanager
def keep_claim() -> Iterator[None]:
    """Keep the claim that the environment names alive within the block; nothing without one."""
    name = os.environ.get(CLAIM_FILE)
    if name is None:
        yield
        return
    claim = Claim(Path(name), end_if_lost=True)
    try:
        if claim.lost:
            print(TAKEN_OVER, file=sys.stderr)
            raise SystemExit(1)
        yield
    finally:
        claim.stop()


def _is_free(claim: Path) -> bool:
    """Whether a claim was released, or its holder is dead."""
    # Opening makes a network file system ask its server, where `stat` may answer from a cache.
    with claim.open(encoding="utf-8") as file:
        text, touched = file.read(), os.fstat(file.fileno()).st_mtime
    if text == RELEASED:
        return True
    # The time of a new file is now by the file system's own clock, not by a machine's.
    with tempfile.TemporaryFile(dir=claim.parent) as new:
        return os.fstat(new.fileno()).st_mtime - touched > PATIENCE


def _newest(path: Path) -> Path | None:
    """Find the last claim on a piece of work."""
    if not path.parent.is_dir():
        return None
    claims = (file for file in path.parent.iterdir() if file.stem == path.name)
    return max((file for file in claims if file.suffix[1:].isdecimal()), key=_number, default=None)


def _number(file: Path) -> int:
    return int(file.suffix[1:])
