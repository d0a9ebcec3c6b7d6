"""Embed picture files, a batch at a time."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

import torch.nn.functional as F

from gcahng.inference.embedder import BATCH_SIZE, TrainedEmbedder
from gcahng.inference.reader import (
    EmbeddedPicture,
    FileState,
    PictureFile,
    ReadPicture,
    Unreadable,
    read_pictures,
)

# Pictures, or seconds of embedding, after which a part is complete and can be written: this is
# the most that a process loses if it is killed.
PART, SECONDS = 512, 20.0

Progress = Callable[[int, int], None]


def in_parts(
    pictures: Iterable[EmbeddedPicture | Unreadable],
    unreadable: list[Unreadable],
    *,
    stop_at_unreadable: bool = False,
    progress: Progress | None = None,
    done: int = 0,
    total: int = 0,
) -> Iterator[list[EmbeddedPicture]]:
    """Collect the pictures that were embedded in parts.

    Args:
        pictures: As from `embed_files`.
        unreadable: Files that cannot be read are added to it.
        stop_at_unreadable: Raise at such a file, after the part before it.
        progress: Called with the number of files done, and of all.
        done: How many were done before.
        total: How many there are.

    Raises:
        ValueError: At a file that cannot be read, if asked for.
    """
    part: list[EmbeddedPicture] = []
    began = time.monotonic()
    for count, picture in enumerate(pictures, start=done + 1):
        if isinstance(picture, EmbeddedPicture):
            part.append(picture)
        else:
            unreadable.append(picture)
            if stop_at_unreadable:
                yield part
                raise ValueError(f"{picture}; repair it, or use --unreadable skip")
        if len(part) >= PART or time.monotonic() - began > SECONDS:
            yield part
            part, began = [], time.monotonic()
        if progress is not None:
            progress(count, total)
    yield part


def embed_files(
    model: TrainedEmbedder,
    files: Sequence[PictureFile],
    *,
    normalize: bool = False,
    known: Mapping[str, FileState] | None = None,
    thumbnails: bool = False,
) -> Iterator[EmbeddedPicture | Unreadable]:
    """Embed picture files, in order.

    Args:
        model: The model.
        files: What to embed.
        normalize: Scale embeddings to L2 norm 1.
        known: States of files by path; a file with the content of its state is not embedded.
        thumbnails: Whether to make them.
    """
    waiting: list[ReadPicture | Unreadable] = []
    for picture in read_pictures(files, model.image_transform, known=known, thumbnails=thumbnails):
        waiting.append(picture)
        if len(waiting) == BATCH_SIZE:
            yield from _embed(model, waiting, normalize)
            waiting = []
    yield from _embed(model, waiting, normalize)


def _embed(
    model: TrainedEmbedder, pictures: Sequence[ReadPicture | Unreadable], normalize: bool
) -> Iterator[EmbeddedPicture | Unreadable]:
    inputs = [p.inputs for p in pictures if isinstance(p, ReadPicture) and p.inputs is not None]
    vectors = iter(model.embed_each(inputs))
    for picture in pictures:
        if isinstance(picture, Unreadable):
            yield picture
            continue
        found = EmbeddedPicture(picture.file, picture.state, None, picture.thumbnail)
        if picture.inputs is not None:
            vector = next(vectors)
            if not (vector.isfinite().all() and vector.any()):
                yield Unreadable(picture.file, "its embedding is not finite, or 0")
                continue
            vector = F.normalize(vector, dim=0) if normalize else vector
            found = replace(found, vector=vector)
        yield found
