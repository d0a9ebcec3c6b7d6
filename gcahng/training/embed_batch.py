"""Embed a batch that several processes share, or that does not fit the device at once."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import ceil
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from gcahng.graph.dense.pair_functions import autocast_state
from gcahng.models import Embedder
from gcahng.processes import Group, gather_rows, rank, world_size

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
    The result is that of the whole batch, unless the backbone trains BatchNorm statistics
    (`trains_statistics`): these are then of each chunk.

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


def trains_statistics(backbone: nn.Module) -> bool:
    """Whether a backbone has BatchNorm layers in training mode.

    Example:
        >>> net = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))
        >>> trains_statistics(net), trains_statistics(net.eval())
        (True, False)
    """
    return any(isinstance(layer, _BatchNorm) and layer.training for layer in backbone.modules())


def chunk_note(embedder: Embedder, chunk: int | None) -> str | None:
    """The sentence about BatchNorm statistics of chunks; None if there are none."""
    if chunk is None or not trains_statistics(embedder.train().backbone):
        return None
    return (
        f"batch.chunk: the backbone's BatchNorm layers are trained on statistics of at most "
        f"{chunk} images and not of the whole batch; embedder.freeze=[bn] fixes them"
    )


def _number_of_chunks(total: int, chunk: int, processes: int) -> int:
    """The same on every process, since layers may exchange statistics in each chunk.

    No more than the process with the fewest images can fill: backbones may fail without any.

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
            states.append(_random_state(device))
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
        grads = features.grad.tensor_split(count)
        for part, state, grad in zip(chunks, states, grads, strict=True):
            with _random_numbers_from(state, device):
                with autocast():
                    again = backbone(part)
                again.backward(grad)

    return features, finish


def _random_state(device: torch.device) -> tuple[Tensor, Tensor | None]:
    gpu = torch.cuda.get_rng_state(device) if device.type == "cuda" else None
    return torch.get_rng_state(), gpu


@contextmanager
def _random_numbers_from(
    state: tuple[Tensor, Tensor | None], device: torch.device
) -> Iterator[None]:
    """Draw the random numbers that follow a state, and restore the present state afterwards."""
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.set_rng_state(state[0])
        if state[1] is not None:
            torch.cuda.set_rng_state(state[1], device)
        yield


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
