"""Fetching a benchmark's archives: resumable, checked, and unpacked in one move."""

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
PARTIAL = 206
RANGE_REFUSED = 416


def download(
    dataset: type[ImageDataset], root: str | Path, progress: Progress | None = None
) -> Path:
    """Fetch a data set into `root`; where it is already there, warn and do nothing.

    What was fetched before a connection broke is kept, and the next call goes on from there. An
    archive that lies in `root` already, got by other means, is unpacked and kept.

    Args:
        dataset: A benchmark whose source has archives.
        root: The folder that holds all data sets; made where it does not exist.
        progress: Called with how many bytes of an archive are there and how many it has, or None
            where the server does not tell.

    Returns:
        The data set's folder.

    Raises:
        ValueError: If it cannot be had without a person, an archive is not as published, or the
            disk is too small.
        OSError: If the server cannot be reached or breaks off, or the disk fails.
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
            f"{dataset.__name__} cannot be downloaded without you, into '{root}'. "
            f"{source.instructions}"
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
    """Fetch, check and unpack one archive, and remove what was fetched."""
    target = root / archive.folder
    if target.exists():
        raise ValueError(f"'{target}' is there but incomplete: move it away, then download again.")
    own = root / PurePosixPath(archive.url).name
    if own.is_file() and check_md5(str(own), archive.md5):
        _unpack(own, target)
        return
    part = own.with_name(f"{own.name}.part")
    _fetch(archive.url, part, source, progress)
    if not check_md5(str(part), archive.md5):
        part.unlink()
        raise ValueError(
            f"What {archive.url} sent is not the published archive (its MD5 is not "
            f"{archive.md5}) and was removed: download again, or by hand. {source.instructions}"
        )
    _unpack(part, target)
    part.unlink()


def _fetch(url: str, part: Path, source: Source, progress: Progress | None) -> None:
    """Download to `part`, going on from what is there."""
    try:
        _stream(url, part, progress)
    except (OSError, http.client.HTTPException) as error:
        reason = str(error).removeprefix("<urlopen error ").removesuffix(">")
        there = _size(part)
        onward = f", which goes on from the {_megabytes(there)} in '{part}'" if there else ""
        raise OSError(
            f"Cannot download {url} ({reason}): try again{onward}, or do it by hand. "
            f"{source.instructions}"
        ) from error


def _stream(url: str, part: Path, progress: Progress | None) -> None:
    request = urllib.request.Request(url, headers={"User-Agent": "gcahng"})
    if start := _size(part):
        request.add_header("Range", f"bytes={start}-")
    try:
        response = urllib.request.urlopen(request, timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        # All of it is there already; the checksum tells whether it is the right file.
        if start and error.code == RANGE_REFUSED:
            return
        raise
    with response:
        # A server that knows no ranges sends the whole file again.
        start = start if response.status == PARTIAL else 0
        length = response.headers["Content-Length"]
        total = None if length is None else start + int(length)
        if total is not None:
            _refuse_small_disk(part, start, total)
        with part.open("ab" if start else "wb") as file:
            while chunk := response.read(CHUNK):
                file.write(chunk)
                start += len(chunk)
                if progress is not None:
                    progress(start, total)
    # Python ends quietly where a connection broke between two reads.
    if total is not None and start < total:
        raise ConnectionError(f"the connection broke after {start} of {total} bytes")


def _refuse_small_disk(part: Path, there: int, total: int) -> None:
    """Photos hardly shrink, so that what is unpacked takes about the archive's size again."""
    free = shutil.disk_usage(part.parent).free
    needed = 2 * total - there
    if free < needed:
        raise ValueError(
            f"'{part.parent}' has {_megabytes(free)} free, but the archive and what it unpacks to "
            f"take about {_megabytes(needed)}: make room, or choose another 'root'."
        )


def _unpack(archive: Path, target: Path) -> None:
    """Unpack into a temporary folder and move the result into place, so that none is ever half."""
    temporary = target.with_name(f".{target.name}-{uuid4().hex}")
    temporary.mkdir()
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as file:
                _refuse_escapes(archive, file.namelist())
                file.extractall(temporary)
        else:
            with tarfile.open(archive) as tar:
                tar.extractall(temporary, filter="data")
        if not (temporary / target.name).is_dir():
            raise ValueError(f"'{archive}' does not hold the folder {target.name}/.")
        (temporary / target.name).rename(target)
    except tarfile.TarError as error:
        raise ValueError(f"Cannot unpack '{archive}' ({error}).") from error
    finally:
        shutil.rmtree(temporary)


def _refuse_escapes(archive: Path, names: list[str]) -> None:
    for name in names:
        if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
            raise ValueError(f"'{archive}' would write outside its folder, to '{name}'.")


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB"
