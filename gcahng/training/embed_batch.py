"""Embed a batch that several processes share, or that does not fit the device at once."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import ceil
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from gcahng.graph.dense.pairs import autocast_state
from gcahng.models import Embedder
from gcahng.processes import Group, gather_rows, rank, world_size
from gcahng.runs.checkpoint import random_states, restore_random_states

# Differentiates what `embed_batch` left; None if nothing is left.
BackwardRest = Callable[[], None] | None


def embed_batch(
    embedder: nn.Module,
    images: Tensor,
    total: int,
    chunk: int | None = None,
    number: int = 0,
    group: Group = None,
) -> tuple[Tensor, BackwardRest]:
    """Embed a batch, of which each process has a part: [n, …] → [total, D] on all of them.

    The backbone runs on the own part of the images. Features are gathered before `embedder.head`,
    so that its BatchNorm sees all of them; an embedder without a `head` counts as a backbone.

    With `chunk`, the backbone runs on so many images at a time without gradient. After the losses
    of the whole batch have been differentiated, `finish` runs it again, chunk by chunk with the
    same random numbers, and passes on the gradient of the features (GradCache, Gao et al. 2021).
    The result is that of the whole batch, unless the backbone trains BatchNorm statistics: these
    are then of each chunk.

    Args:
        embedder: Has a `backbone` and a `head`, or is any module.
        images: The own part of the batch.
        total: B, the number of images of all processes.
        chunk: The most images that the backbone takes at a time; None: all. If processes have
            different numbers of images, 1 counts as 2.
        number: Of the step; with several processes it seeds the backbone's dropout.
        group: The processes that each have a part of the batch; None: this one has all of it.

    Returns:
        The embeddings, and a function to call after their backward pass or None.
    """
    if group is None and chunk is None:
        return embedder(images), None
    backbone: Any = getattr(embedder, "backbone", embedder)
    head: Any = getattr(embedder, "head", nn.Identity())
    finish: BackwardRest = None
    with _own_random_numbers(images.device, number, group):
        if chunk is None:
            features = backbone(images)
        else:
            count = _number_of_chunks(total, chunk, world_size(group))
            features, finish = _in_chunks(backbone, images, count)
    return head(gather_rows(features, total, group)), finish


def chunk_note(embedder: Embedder, chunk: int | None) -> str | None:
    """The sentence about BatchNorm statistics of chunks; None if there are none."""
    layers = embedder.train().backbone.modules()
    if chunk is None or not any(isinstance(it, _BatchNorm) and it.training for it in layers):
        return None
    return (
        f"batch.chunk: the backbone's BatchNorm layers are trained on statistics of at most "
        f"{chunk} images and not of the whole batch; embedder.freeze=[bn] fixes them"
    )


def _number_of_chunks(total: int, chunk: int, processes: int) -> int:
    """The same on every process, since layers may exchange statistics in each chunk.

    Example:
        >>> _number_of_chunks(12, chunk=4, processes=2), _number_of_chunks(5, chunk=1, processes=2)
        (2, 2)
    """
    return min(ceil(ceil(total / processes) / chunk), total // processes)


def _in_chunks(backbone: nn.Module, images: Tensor, count: int) -> tuple[Tensor, BackwardRest]:
    """Features [n, width] as a leaf of the autograd graph, and their backward pass."""
    chunks, device = images.tensor_split(count), images.device
    states, parts = [], []
    buffers = [(buffer, buffer.clone()) for buffer in backbone.buffers()]
    with torch.no_grad():
        for part in chunks:
            states.append(random_states(device))
            parts.append(backbone(part))
    if not any(parameter.requires_grad for parameter in backbone.parameters()):
        return torch.cat(parts), None
    with torch.no_grad():
        # The second pass updates running statistics; once is enough.
        for buffer, before in buffers:
            buffer.copy_(before)
    features = torch.cat(parts).requires_grad_()
    autocast = autocast_state(device.type)

    def finish() -> None:
        assert features.grad is not None
        grads, now = features.grad.tensor_split(count), random_states(device)
        for part, state, grad in zip(chunks, states, grads, strict=True):
            restore_random_states(state, device)
            with autocast():
                again = backbone(part)
            again.backward(grad)
        restore_random_states(now, device)

    return features, finish


@contextmanager
def _own_random_numbers(device: torch.device, number: int, group: Group) -> Iterator[None]:
    """Draw other random numbers on every process and in every step, none from the shared stream."""
    if group is None:
        yield
        return
    own = np.random.SeedSequence([torch.initial_seed(), number, rank(group)])
    seed = int(own.generate_state(1, np.uint64)[0]) >> 1
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.default_generator.manual_seed(seed)
        if device.type == "cuda":
            with torch.cuda.device(device):  # this process's device alone
                torch.cuda.manual_seed(seed)
        yield
