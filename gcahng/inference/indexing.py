"""Bring a store up to date with a folder: add new pictures, replace changed ones, delete the rest.

A picture is written together with its vector, several hundred in one transaction. A run that was
killed has written whole transactions; the next one goes on from there.
"""

import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from gcahng.files import check_folder, printable
from gcahng.inference.embed import Progress, Unreadable, embed_in_parts, find_pictures
from gcahng.inference.embedder import TrainedEmbedder
from gcahng.inference.store import TABLE, PictureStore, StoreModel
from gcahng.jobs.claim import exclusive_lock
from gcahng.models.backbones.libraries import PACKAGE
from gcahng.pictures import FileState, PictureFile, file_state
from gcahng.runs.folder import RunFolder

# A store in more pieces than this is compacted, as each costs time in every search.
MOST_FRAGMENTS = 16


@dataclass
class IndexChanges:
    """What an update of a store did.

    Attributes:
        added: Number of new pictures.
        replaced: Number of pictures with another content, class or split.
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
    store: str | Path,
    *,
    ann: bool = False,
    progress: Progress | None = None,
) -> tuple[PictureStore, IndexChanges]:
    """Bring a store up to date with a folder of pictures.

    A file whose size, time of change, class and split are those of its row is not read. Rows of
    files elsewhere stay as they are, so one store can hold several folders.

    Args:
        model: Embeds the pictures.
        folder: Searched with its subfolders, see `find_pictures`.
        store: The folder of the store, made if missing.
        ann: Build an index for approximate search, which pays from about 10,000 pictures on.
        progress: Called with the number of new and changed pictures done, and of all of them.

    Returns:
        The store and what was changed.

    Raises:
        FileNotFoundError: If there is no such folder.
        ValueError: If the folder has no picture, the store was made with another model, or another
            process changes it.
    """
    if not Path(folder).is_dir():
        raise FileNotFoundError(f"no folder '{folder}'")
    files = find_pictures([folder])
    if not files:
        # Not an empty store: a folder that is not mounted looks just like this.
        raise ValueError(f"'{folder}' has no pictures; the store is left as it is")
    _check_place(Path(store))
    with exclusive_lock(Path(store)):
        opened = PictureStore.create(store, _about(model))
        changes = _update(opened, model, files, os.path.join(os.path.abspath(folder), ""), progress)
        if opened.fragments() > MOST_FRAGMENTS or opened.indexed():
            opened.compact()
        if ann and len(opened):
            opened.build_index()
    return opened, changes


def _about(model: TrainedEmbedder) -> StoreModel:
    """Describe the model so that it opens from any folder: a run's last epoch by its checkpoint."""
    source, weights = model.source, model.weights
    path = Path(source).expanduser()
    if path.exists():
        last = RunFolder(path).last
        source = os.path.abspath(last if model.run.path == last else path)
    if weights is not None and not weights.startswith(PACKAGE):
        weights = os.path.abspath(Path(weights).expanduser())
    return StoreModel(source, model.fingerprint, model.dim, weights)


def _check_place(store: Path) -> None:
    """Raise if a new store would be mixed with other files."""
    check_folder(store, "--store")
    inside = [entry.name for entry in store.iterdir()] if store.is_dir() else []
    # Hidden files, such as the lock, are left by programs that show folders.
    others = [name for name in inside if name != f"{TABLE}.lance" and not name.startswith(".")]
    if others:
        raise ValueError(
            f"--store: '{store}' holds other files, such as '{printable(min(others))}': name a "
            "folder for the store alone"
        )


def _update(
    store: PictureStore,
    model: TrainedEmbedder,
    files: Sequence[PictureFile],
    inside: str,
    progress: Progress | None,
) -> IndexChanges:
    known, changes = store.files(), IndexChanges()
    # A folder of one class says nothing about classes; the store knows from a folder further up.
    files = [file.or_finer(known[file.path][0]) if file.path in known else file for file in files]
    changed = [file for file in files if not _is_same(file, known.get(file.path))]
    parts = embed_in_parts(model, changed, changes.unreadable, thumbnails=True, progress=progress)
    for part in parts:
        store.write(part)
        replaced = sum(picture.file.path in known for picture in part)
        changes.replaced += replaced
        changes.added += len(part) - replaced
    there = {file.path for file in files} - {bad.file.path for bad in changes.unreadable}
    gone = [path for path in known if path.startswith(inside) and path not in there]
    store.delete(gone)
    changes.deleted, changes.unchanged = len(gone), len(files) - len(changed)
    return changes


def _is_same(file: PictureFile, known: tuple[PictureFile, FileState] | None) -> bool:
    with suppress(OSError):
        return known == (file, file_state(file.path))
    return False
