"""Download a published data set: its archives, resumable, verified, unpacked atomically."""

import http.client
import shutil
import tarfile
import urllib.error
import urllib.request
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from uuid import uuid4

from torchvision.datasets.utils import check_md5

from gcahng.data.datasets.base import ImageDataset
from gcahng.data.datasets.published_dataset import Archive, PublishedDataset, Source

Progress = Callable[[int, int | None], None]
TIMEOUT = 30.0
CHUNK = 1 << 20
PARTIAL_CONTENT = 206
RANGE_NOT_SATISFIABLE = 416


def download(
    dataset: type[ImageDataset], root: str | Path, progress: Progress | None = None
) -> Path:
    """Download a data set into `root`; if it is already there, only warn.

    An interrupted download is kept, and the next call resumes it. An archive that is already in
    `root` (downloaded by hand) is unpacked and kept.

    Args:
        dataset: A published data set with archives in its `source`.
        root: The folder that holds all data sets; created if missing.
        progress: Called with the bytes of an archive downloaded so far and its size, or None if
            the server does not report the size.

    Returns:
        The data set's folder.

    Raises:
        ValueError: If the data set must be downloaded by hand, an archive fails its checksum or
            cannot be unpacked, or disk space is insufficient.
        OSError: If the server is unreachable, the connection breaks, or writing fails.

    Example:
        >>> from gcahng.data import Cars
        >>> download(Cars, "datasets")
        Traceback (most recent call last):
            ...
        ValueError: Cars must be downloaded by hand into 'datasets'. Its homepage no longer ...
    """
    if not issubclass(dataset, PublishedDataset):
        raise ValueError(f"{dataset.__name__} has nothing to download.")
    root, source = Path(root), dataset.source
    if (found := dataset.find(root)) is not None:
        warnings.warn(
            f"{dataset.__name__} is already in '{found[0]}': nothing was downloaded.", stacklevel=2
        )
        return found[0]
    if not source.archives:
        raise ValueError(
            f"{dataset.__name__} must be downloaded by hand into '{root}'. {source.instructions}"
        )
    root.mkdir(parents=True, exist_ok=True)
    for archive in source.archives:
        _install(archive, root, source, progress)
    found = dataset.find(root)
    if found is None:
        raise ValueError(
            f"{dataset.__name__} was downloaded to '{root}' but lacks files. {source.instructions}"
        )
    return found[0]


def _install(archive: Archive, root: Path, source: Source, progress: Progress | None) -> None:
    """Download, verify and unpack one archive, then delete the downloaded file."""
    target = root / archive.folder
    if target.exists():
        raise ValueError(f"'{target}' exists but is incomplete: move it away, then download again.")
    local = root / PurePosixPath(archive.url).name
    if local.is_file() and check_md5(str(local), archive.md5):
        _unpack(local, target)
        return
    part = local.with_name(f"{local.name}.part")
    _fetch(archive.url, part, source, progress)
    if not check_md5(str(part), archive.md5):
        part.unlink()
        raise ValueError(
            f"The file from {archive.url} was removed because it is not the published archive (its "
            f"MD5 is not {archive.md5}): download again, or by hand. {source.instructions}"
        )
    _unpack(part, target)
    part.unlink()


def _fetch(url: str, part: Path, source: Source, progress: Progress | None) -> None:
    """Download to `part`, resuming if it exists."""
    try:
        _stream(url, part, progress)
    except (OSError, http.client.HTTPException) as error:
        reason = str(error).removeprefix("<urlopen error ").removesuffix(">")
        done = _size(part)
        resume = f", which resumes from the {_megabytes(done)} in '{part}'" if done else ""
        raise OSError(
            f"Cannot download {url} ({reason}): try again{resume}, or download by hand. "
            f"{source.instructions}"
        ) from error


def _stream(url: str, part: Path, progress: Progress | None) -> None:
    request = urllib.request.Request(url, headers={"User-Agent": "gcahng"})
    if start := _size(part):
        request.add_header("Range", f"bytes={start}-")
    try:
        response = urllib.request.urlopen(request, timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        # The partial file is already complete; the checksum is verified later.
        if start and error.code == RANGE_NOT_SATISFIABLE:
            return
        raise
    with response:
        # A server without range support sends the whole file again.
        start = start if response.status == PARTIAL_CONTENT else 0
        length = response.headers["Content-Length"]
        total = None if length is None else start + int(length)
        if total is not None:
            _check_disk_space(part, start, total)
        with part.open("ab" if start else "wb") as file:
            while chunk := response.read(CHUNK):
                file.write(chunk)
                start += len(chunk)
                if progress is not None:
                    progress(start, total)
    # `read` raises no error if the connection breaks between two calls.
    if total is not None and start < total:
        raise ConnectionError(f"the connection broke after {start} of {total} bytes")


def _check_disk_space(part: Path, done: int, total: int) -> None:
    """Raise unless archive and unpacked files fit; photos take about the archive's size again."""
    free = shutil.disk_usage(part.parent).free
    needed = 2 * total - done
    if free < needed:
        raise ValueError(
            f"'{part.parent}' has {_megabytes(free)} free, but the archive and its contents need "
            f"about {_megabytes(needed)}: free some space, or choose another 'root'."
        )


def _unpack(archive: Path, target: Path) -> None:
    """Unpack atomically: extract to a temporary folder, then rename it."""
    temporary = target.with_name(f".{target.name}-{uuid4().hex}")
    temporary.mkdir()
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as file:
                _check_member_paths(archive, file.namelist())
                file.extractall(temporary)
        else:
            with tarfile.open(archive) as tar:
                tar.extractall(temporary, filter="data")
        if not (temporary / target.name).is_dir():
            raise ValueError(f"'{archive}' does not contain the folder {target.name}/.")
        (temporary / target.name).rename(target)
    except tarfile.TarError as error:
        raise ValueError(f"Cannot unpack '{archive}' ({error}).") from error
    finally:
        shutil.rmtree(temporary)


def _check_member_paths(archive: Path, names: list[str]) -> None:
    """Raise if an archive member would be written outside the target folder."""
    for name in names:
        if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
            raise ValueError(f"'{archive}' would write outside its folder, to '{name}'.")


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB"
