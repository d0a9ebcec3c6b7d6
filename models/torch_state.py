"""The precision of float32 products, whatever the program around has set in torch."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch


@contextmanager
def float32_products() -> Iterator[None]:
    """Compute products of float32 matrices in float32: no TF32 or bfloat16."""
    backends = (torch.backends.cuda.matmul, getattr(torch.backends.mkldnn, "matmul", None))
    # Before torch 2.9 they are as the program has set them.
    kinds: list[Any] = [kind for kind in backends if hasattr(kind, "fp32_precision")]
    before = [kind.fp32_precision for kind in kinds]
    try:
        for kind in kinds:
            kind.fp32_precision = "ieee"
        yield
    finally:
        for kind, precision in zip(kinds, before, strict=True):
            kind.fp32_precision = precision
