"""Checks of the arguments of the retrieval metrics."""

from collections.abc import Sequence

import torch
from torch import Tensor

from gcahng.evaluation.engines import BLOCK

EXCLUSIONS = ("self", "first")


def check_embeddings(embeddings: Tensor, is_query: Tensor | None) -> None:
    """Raise ValueError unless the embeddings and the query mask are valid."""
    if embeddings.ndim != 2 or not embeddings.is_floating_point() or not embeddings.shape[1]:
        raise ValueError(
            "Expected 'embeddings' as a floating-point [N, D] tensor "
            f"(got {embeddings.dtype} {list(embeddings.shape)})"
        )
    if len(embeddings) < 2:
        raise ValueError(f"Expected at least 2 rows of 'embeddings' (got {len(embeddings)})")
    bad = sum(int((~block.isfinite()).any(dim=1).sum()) for block in embeddings.split(BLOCK))
    if bad:
        raise ValueError(
            f"{bad} of {len(embeddings)} rows of 'embeddings' hold NaN or infinity: "
            "check the network that produced them"
        )
    if is_query is None:
        return
    if is_query.dtype != torch.bool or is_query.shape != embeddings.shape[:1]:
        raise ValueError(
            f"Expected 'is_query' as a bool [{len(embeddings)}] tensor "
            f"(got {is_query.dtype} {list(is_query.shape)})"
        )
    if is_query.all() or not is_query.any():
        raise ValueError(
            "Expected 'is_query' to mark some rows but not all (got "
            f"{int(is_query.sum())} of {len(is_query)})"
        )


def check_labels(embeddings: Tensor, labels: Tensor) -> None:
    """Raise ValueError unless there is one integer label per row of the embeddings."""
    if labels.is_floating_point() or labels.shape != embeddings.shape[:1]:
        raise ValueError(
            f"Expected 'labels' as an integer [{len(embeddings)}] tensor "
            f"(got {labels.dtype} {list(labels.shape)})"
        )


def check_settings(ks: Sequence[int], exclude: str, chunk: int | None) -> None:
    """Raise ValueError unless the arguments that are not tensors are valid."""
    if not ks or min(ks) < 1:
        raise ValueError(f"Expected 'ks' to hold positive integers (got {tuple(ks)})")
    if chunk is not None and chunk < 1:
        raise ValueError(f"Expected 'chunk' to be positive (got {chunk})")
    if exclude not in EXCLUSIONS:
        raise ValueError(f"Unknown exclude '{exclude}': choose one of {', '.join(EXCLUSIONS)}")
