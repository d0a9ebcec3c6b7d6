"""Embed picture files, with little memory however many there are."""

from collections.abc import Iterator, Mapping, Sequence
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
    for picture in read_pictures(files, model.transform, known=known, thumbnails=thumbnails):
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
            vector = F.normalize(vector, dim=0) if normalize else vector
            found = replace(found, vector=vector)
        yield found
