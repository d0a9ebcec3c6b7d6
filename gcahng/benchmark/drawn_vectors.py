"""Artificial embeddings for benchmarks."""

import torch
from torch.nn import functional as F

CLASS_SIZE = 50


def draw_vectors(count: int, dim: int, spread: float = 1.0) -> torch.Tensor:
    """Unit vectors [count, dim] around random class centres, as embeddings of pictures are.

    Args:
        count: How many; row i has class i modulo max(1, count // `CLASS_SIZE`).
        dim: D.
        spread: Deviation of the vectors of a class from its centre, whose length is 1.

    Example:
        >>> draw_vectors(100, 8).shape
        torch.Size([100, 8])
    """
    generator = torch.Generator().manual_seed(0)
    classes = max(1, count // CLASS_SIZE)
    centres = F.normalize(torch.randn(classes, dim, generator=generator))
    noise = torch.randn(count, dim, generator=generator) * (spread / dim**0.5)
    return F.normalize(centres[torch.arange(count) % classes] + noise)
