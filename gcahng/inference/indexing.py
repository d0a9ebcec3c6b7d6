"""Bring a store up to date with a folder: add new pictures, replace changed ones, delete the rest.

A picture is written together with its vector, several hundred in one transaction. A run that was
killed has written whole transactions; the next one goes on from there.
"""

import os
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from gcahng.files import check_folder, printable
from gcahng.inference.database import TABLE, is_local
from gcahng.inference.embed_files import embed_files
from gcahng.inference.embedder import TrainedEmbedder
from gcahng.inference.reader import (
    EmbeddedPicture,
    FileState,
    PictureFile,
    Unreadable,
    find_pictures,
    has_changed,
)
from gcahng.inference.store import PictureStore, StoreModel
from gcahng.runs.lock import LOCK, exclusive_lock

# A transaction holds so many pictures, or what was embedded in so many seconds: more is not lost.
TRANSACTION, SECONDS = 512, 20.0
# A store in more pieces than this is compacted, as each costs time in every search.
MOST_FRAGMENTS = 16
# With fewer pictures, exact search takes milliseconds.
FEWEST_FOR_ANN = 10_000

Progress = Callable[[int, int], None]


@dataclass
class IndexChanges:
    """What an update of a store did.

    Attributes:
        added: Number of new pictures.
        replaced: Number of pictures with new content.
        deleted: Number of pictures whose file is gone, or cannot be read any more.
        unchanged: Number of all other pictures of the folder.
        unreadable: Files that could not be read.
    """

    added: int = 0
    replaced: int = 0
    deleted: int = 0
    unchanged: int = 0
    unreadable: list[Unreadable] = field(default_factory=list)

    def __str__(self) -> str:
        parts = ("added", "replaced", "deleted", "unchanged")
        return ", ".join(f"{getattr(self, part)} {part}" for part in parts)


def index_folder(
    model: TrainedEmbedder,
    folder: str | Path,
    uri: str | Path,
    *,
    ann: bool = False,
    stop_at_unreadable: bool = False,
    progress: Progress | None = None,
) -> tuple[PictureStore, IndexChanges]:
    """Bring a store up to date with a folder of pictures.

    A file whose size and time of change are those of its row is not read. Rows of files elsewhere
    stay as they are, so one store can hold several folders.

    Args:
        model: Embeds the pictures.
        folder: Searched with its subfolders, see `find_pictures`.
        uri: The store, made if missing.
        ann: Build an index for approximate search.
        stop_at_unreadable: Raise at a file that cannot be read, instead of listing it.
        progress: Called with the number of pictures checked so far, and of all.

    Returns:
        The store and what was changed.

    Raises:
        FileNotFoundError: If there is no such folder.
        ValueError: If the folder has no picture, the store was made with another model, or another
            process changes it.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"no folder '{folder}'")
    files = find_pictures([folder])
    if not files:
        # Not an empty store: a folder that is not mounted looks just like this.
        raise ValueError(f"'{folder}' has no pictures; the store is left as it is")
    if ann and len(files) < FEWEST_FOR_ANN:
        raise ValueError(
            f"--ann: '{folder}' has {len(files):,} pictures, which exact search compares in "
            f"milliseconds; an index serves {FEWEST_FOR_ANN:,} and more"
        )
    if is_local(str(uri)):
        _check_place(Path(uri))
    with _only_one(uri):
        about = StoreModel(_source(model), model.fingerprint, model.dim)
        store = PictureStore.create(uri, about)
        changes = _update(store, model, files, folder, stop_at_unreadable, progress)
        if store.fragments() > MOST_FRAGMENTS or (changes.added and store.indexed()):
            store.compact()
        if ann:
            store.build_index()
    return store, changes


def _source(model: TrainedEmbedder) -> str:
    """What opens the model from any folder."""
    path = Path(model.source).expanduser()
    return os.path.abspath(path) if path.exists() else model.source


def _check_place(store: Path) -> None:
    """Raise if a new store would be mixed with other files."""
    check_folder(store, "--store")
    inside = [entry.name for entry in store.iterdir()] if store.is_dir() else []
    if not {f"{TABLE}.lance", LOCK} >= set(inside):
        raise ValueError(
            f"--store: '{store}' holds other files, such as '{printable(min(inside))}': name a "
            "folder for the store alone"
        )


def _only_one(uri: str | Path) -> AbstractContextManager[object]:
    # LanceDB itself resolves conflicts in stores elsewhere.
    return exclusive_lock(Path(uri)) if is_local(str(uri)) else nullcontext()


def _update(
    store: PictureStore,
    model: TrainedEmbedder,
    files: list[PictureFile],
    folder: Path,
    stop_at_unreadable: bool,
    progress: Progress | None,
) -> IndexChanges:
    changes, before = IndexChanges(), store.states()
    changed = [file for file in files if has_changed(file, before.get(file.path))]
    changes.unchanged = len(files) - len(changed)
    found = embed_files(model, changed, normalize=True, known=before, thumbnails=True)
    part: list[EmbeddedPicture] = []
    began = time.monotonic()
    for done, picture in enumerate(found, start=changes.unchanged + 1):
        if isinstance(picture, EmbeddedPicture):
            part.append(picture)
        else:
            changes.unreadable.append(picture)
            if stop_at_unreadable:
                break
        if len(part) == TRANSACTION or time.monotonic() - began > SECONDS:
            _write(store, part, before, changes)
            part, began = [], time.monotonic()
        if progress is not None:
            progress(done, len(files))
    _write(store, part, before, changes)
    if changes.unreadable and stop_at_unreadable:
        raise ValueError(f"{changes.unreadable[0]}; repair it, or use --unreadable skip")
    there = {file.path for file in files} - {bad.file.path for bad in changes.unreadable}
    root = os.path.join(os.path.abspath(folder), "")
    gone = [path for path in before if path.startswith(root) and path not in there]
    store.delete(gone)
    changes.deleted = len(gone)
    return changes


def _write(
    store: PictureStore,
    pictures: list[EmbeddedPicture],
    before: dict[str, FileState],
    changes: IndexChanges,
) -> None:
    new = [picture for picture in pictures if picture.vector is not None]
    store.write(new)
    same = [picture for picture in pictures if picture.vector is None]
    store.update_states(same)
    replaced = sum(picture.file.path in before for picture in new)
    changes.replaced += replaced
    changes.added += len(new) - replaced
    changes.unchanged += len(same)
