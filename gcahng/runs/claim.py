"""Claims on work that processes of several machines share through a folder.

A lock of the operating system holds on one machine, and on a network file system only if its server
passes locks on. A claim needs nothing but hard links: a file that its holder touches from time to
time, so that a claim whose holder has died grows old and another process takes it over.

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
from contextlib import contextmanager
from pathlib import Path

#: Environment variable with the claim that a training keeps alive for the process that started it.
CLAIM_FILE = "GCAHNG_CLAIM_FILE"
# Seconds between two touches, and without one until the holder counts as dead. A network file
# system may show another machine's touches up to a minute late.
PERIOD, PATIENCE = 10.0, 90.0

TAKEN_OVER = "error: another process has taken this run over"


class Claim:
    """A claim that this process holds or keeps alive, until it is released or the process ends.

    Args:
        file: The numbered file.
        end_if_lost: End this process if another one has taken the claim over, which happens
            after this one was suspended for longer than the patience of the others.
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
        # An empty file counts as free. It may be gone with the whole folder.
        if self.file.exists():
            os.truncate(self.file, 0)

    def stop(self) -> None:
        """Stop touching the file."""
        self.released.set()
        self.thread.join()

    def _touch(self) -> None:
        while not self.released.wait(PERIOD):
            if self.end_if_lost and self.lost:
                print(TAKEN_OVER, file=sys.stderr, flush=True)
                os._exit(1)
            try:
                # Without an explicit time, the file system uses its own clock.
                os.utime(self.file)
            except OSError:
                # A network file system may be away for a moment.
                continue


def take_claim(path: Path) -> Claim | None:
    """Claim a piece of work, unless a living process holds it.

    Args:
        path: Names the work; its claims are numbered files beside it.

    Returns:
        None if another process holds it. Look at the work again after claiming it: it may have
        been done by the last holder.

    Raises:
        OSError: If the folder's file system has no hard links.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    candidate = Path(name)
    try:
        with os.fdopen(handle, "w") as file:
            file.write(f"{socket.gethostname()}, process {os.getpid()}\n")
        candidate.chmod(0o644)
        # Newly written, so its time is now by the file system's own clock, not by a machine's.
        newest = _newest(path)
        if newest is not None and not _is_free(newest, now=candidate.stat().st_mtime):
            return None
        claimed = path.with_name(f"{path.name}.{_number(newest) + 1 if newest else 1}")
        if not _link(candidate, claimed):
            return None
    finally:
        candidate.unlink(missing_ok=True)
    return Claim(claimed)


def claim_holder(path: Path) -> str | None:
    """Who holds a claim, as "HOST, process NUMBER"; None for a claim that was released."""
    newest = _newest(path)
    return None if newest is None else newest.read_text(encoding="utf-8").strip() or None


@contextmanager
def keep_claim() -> Iterator[None]:
    """Keep the claim that the environment names alive within the block; nothing without one.

    So a run stays claimed for as long as it is trained, also if the process that started it dies.

    Raises:
        SystemExit: If another process has taken it over before this one could start. This is not a
            failure of the run, which the other one trains.
    """
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


def _is_free(claim: Path, now: float) -> bool:
    """Whether a claim was released, or its holder is dead."""
    # Opening makes a network file system ask its server, where `stat` may answer from a cache.
    with claim.open("rb") as file:
        found = os.fstat(file.fileno())
    return found.st_size == 0 or now - found.st_mtime > PATIENCE


def _link(candidate: Path, file: Path) -> bool:
    """Whether the file could be created as another name of the candidate."""
    try:
        os.link(candidate, file)
    except FileExistsError:
        # On a network file system, a request that is repeated after a lost answer fails.
        return candidate.stat().st_nlink == 2
    except OSError as error:
        raise OSError(
            f"'{file.parent}' is on a file system without hard links ({error.strerror}), which "
            "sharing work needs: use another folder with output=FOLDER"
        ) from error
    return True


def _newest(path: Path) -> Path | None:
    """The last claim on a piece of work."""
    if not path.parent.is_dir():
        return None
    claims = (file for file in path.parent.iterdir() if file.stem == path.name)
    return max((file for file in claims if file.suffix[1:].isdecimal()), key=_number, default=None)


def _number(file: Path) -> int:
    return int(file.suffix[1:])
