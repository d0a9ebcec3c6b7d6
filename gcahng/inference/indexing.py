"""Bring a store up to date with a folder: add new pictures, replace changed ones, delete the rest.

A picture is written together with its vector, several hundred in one transaction. A run that was
killed has written whole transactions; the next one goes on from there.
"""

import os
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean, median
from time import perf_counter

from gcahng.files import check_folder, printable, refuse_address, writing
from gcahng.inference.embed import Progress, Unreadable, embed_in_parts, find_pictures
from gcahng.inference.embedder import TrainedEmbedder
from gcahng.inference.store import TABLE, EmbeddedPicture, PictureStore, StoreModel, is_local
from gcahng.jobs.claim import exclusive_lock
from gcahng.models.backbones.libraries import PACKAGE
from gcahng.pictures import FileState, PictureFile, has_changed
from gcahng.runs.folder import RunFolder

# A store in more pieces than this is compacted, as each costs time in every search.
MOST_FRAGMENTS = 16

KnownFiles = Mapping[str, tuple[PictureFile, FileState]]


@dataclass
class IndexChanges:
    """What an update of a store did.

    Attributes:
        added: Number of new pictures.
        replaced: Number of pictures with new content.
        relabelled: Number of pictures with another class or split than before.
        deleted: Number of pictures whose file is gone, or cannot be read any more.
        unchanged: Number of all other pictures of the folder.
        unreadable: Files that could not be read.
    """

    added: int = 0
    replaced: int = 0
    relabelled: int = 0
    deleted: int = 0
    unchanged: int = 0
    unreadable: list[Unreadable] = field(default_factory=list)

    def __str__(self) -> str:
        parts = ("added", "replaced", "relabelled", "deleted", "unchanged")
        return ", ".join(f"{getattr(self, part)} {part}" for part in parts)


def index_folder(
    model: TrainedEmbedder,
    folder: str | Path,
    uri: str | Path,
    *,
    ann: bool = False,
    forget: Sequence[str | Path] = (),
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
        ann: Build an index for approximate search, which pays from about 10,000 pictures on.
        forget: Folders whose pictures are deleted from the store, though not from the disk.
        stop_at_unreadable: Raise at a file that cannot be read, instead of listing it.
        progress: Called with the number of pictures checked so far, and of all.

    Returns:
        The store and what was changed.

    Raises:
        FileNotFoundError: If there is no such folder.
        ValueError: If the folder has no picture, the store was made with another model, or another
            process changes it.
    """
    refuse_address(folder)
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(
            f"no folder '{folder}'; if it is indexed already and was moved, index it where it is "
            f"now with --forget '{folder}'"
        )
    files = find_pictures([folder])
    if not files:
        # Not an empty store: a folder that is not mounted looks just like this.
        raise ValueError(f"'{folder}' has no pictures; the store is left as it is")
    if is_local(str(uri)):
        _check_place(Path(uri))
    # LanceDB itself resolves conflicts in stores elsewhere.
    alone = exclusive_lock(Path(uri)) if is_local(str(uri)) else nullcontext()
    with alone, writing(uri):
        store = PictureStore.create(uri, _about(model))
        forgotten = [path for path in store.files() if _is_inside(path, forget)]
        store.delete(forgotten)
        changes = _update(store, model, files, folder, stop_at_unreadable, progress)
        changes.deleted += len(forgotten)
        if store.fragments() > MOST_FRAGMENTS or (changes.added and store.indexed()):
            store.compact()
        if ann and len(store):
            store.build_index()
    return store, changes


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


def _is_inside(path: str, folders: Sequence[str | Path]) -> bool:
    return any(path.startswith(os.path.join(os.path.abspath(one), "")) for one in folders)


def _update(
    store: PictureStore,
    model: TrainedEmbedder,
    files: list[PictureFile],
    folder: Path,
    stop_at_unreadable: bool,
    progress: Progress | None,
) -> IndexChanges:
    changes, known = IndexChanges(), store.files()
    before = {path: state for path, (_, state) in known.items()}
    # A folder of one class says nothing about classes; the store knows from a folder further up.
    files = [file.or_finer(known[file.path][0]) if file.path in known else file for file in files]
    changed = [
        file
        for file in files
        if known.get(file.path, (None,))[0] != file or has_changed(file, before[file.path])
    ]
    changes.unchanged = len(files) - len(changed)
    parts = embed_in_parts(
        model,
        changed,
        changes.unreadable,
        normalize=True,
        known=before,
        thumbnails=True,
        stop_at_unreadable=stop_at_unreadable,
        progress=progress,
        before=len(files) - len(changed),
    )
    for part in parts:
        _write(store, part, known, changes)
    there = {file.path for file in files} - {bad.file.path for bad in changes.unreadable}
    gone = [path for path in before if _is_inside(path, [folder]) and path not in there]
    store.delete(gone)
    changes.deleted = len(gone)
    return changes


def _write(
    store: PictureStore,
    pictures: list[EmbeddedPicture],
    known: KnownFiles,
    changes: IndexChanges,
) -> None:
    new = [picture for picture in pictures if picture.vector is not None]
    same = [picture for picture in pictures if picture.vector is None]
    store.write(new)
    store.update_states(same)
    replaced = sum(picture.file.path in known for picture in new)
    changes.replaced += replaced
    changes.added += len(new) - replaced
    of_same = _relabelled(same, known)
    changes.relabelled += of_same + _relabelled(new, known)
    changes.unchanged += len(same) - of_same


def _relabelled(pictures: list[EmbeddedPicture], known: KnownFiles) -> int:
    """How many of the pictures had another class or split before."""
    files = [picture.file for picture in pictures]
    return sum(file.path in known and file != known[file.path][0] for file in files)


@dataclass(frozen=True)
class Recall:
    """Approximate search compared with exact search.

    Attributes:
        recall: Share of the k nearest pictures that it finds, in [0, 1], mean over the queries.
        k: Number of neighbours.
        queries: Number of queries, pictures of the store.
        exact_ms: Median time of an exact search, in milliseconds.
        approximate_ms: The same of an approximate one.
    """

    recall: float
    k: int
    queries: int
    exact_ms: float
    approximate_ms: float

    def __str__(self) -> str:
        return (
            f"the index finds {100 * self.recall:.1f} % of the {self.k} nearest (mean over "
            f"{self.queries} pictures), in {self.approximate_ms:.1f} ms instead of "
            f"{self.exact_ms:.1f} ms"
        )


def measure_recall(store: PictureStore, k: int = 10, queries: int = 200) -> Recall:
    """Search for pictures of the store with its index and exactly.

    Args:
        store: With an index.
        k: Number of neighbours.
        queries: Number of pictures to search for, drawn at random.
    """
    chosen = [row["id"] for row in store.sample(queries)]
    shares, times = [], {True: [0.0], False: [0.0]}
    for number, key in enumerate(chosen):
        vector, found = store.vector(key), {}
        for exact in times:
            start = perf_counter()
            found[exact] = {near.id for near in store.search(vector, k, exact=exact)}
            if number:  # the first opens files
                times[exact].append(1000 * (perf_counter() - start))
        shares.append(len(found[True] & found[False]) / len(found[True]))
    exact_ms, approximate_ms = (median(times[exact][1:] or [0.0]) for exact in (True, False))
    return Recall(mean(shares), k, len(chosen), exact_ms, approximate_ms)
