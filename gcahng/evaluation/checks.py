"""Checks of the arguments of the retrieval metrics."""

from collections.abc import Sequence

import torch
from torch import Tensor

from gcahng.arguments import is_integer
from gcahng.evaluation.engines import BLOCK

EXCLUSIONS = ("self", "first")


def check_embeddings(embeddings: Tensor, is_query: Tensor | None) -> None:
    """Raise ValueError unless the embeddings and the query mask are valid."""
    _check_tensor("embeddings", embeddings)
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
    _check_tensor("is_query", is_query)
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
    _check_tensor("labels", labels)
    if labels.is_floating_point() or labels.shape != embeddings.shape[:1]:
        raise ValueError(
            f"Expected 'labels' as an integer [{len(embeddings)}] tensor "
            f"(got {labels.dtype} {list(labels.shape)})"
        )


def check_settings(ks: Sequence[int], exclude: str, chunk: int | None) -> None:
    """Raise ValueError unless the arguments that are not tensors are valid."""
    if not isinstance(ks, Sequence) or not ks or not all(is_integer(k, 1) for k in ks):
        raise ValueError(f"Expected 'ks' to hold positive integers (got {ks!r})")
    if chunk is not None and not is_integer(chunk, 1):
        raise ValueError(f"Expected 'chunk' as a positive integer (got {chunk!r})")
    if exclude not in EXCLUSIONS:
        raise ValueError(f"Unknown exclude '{exclude}': choose one of {', '.join(EXCLUSIONS)}")


def _check_tensor(name: str, value: object) -> None:
    """Raise unless an argument is an ordinary tensor."""
    if not isinstance(value, Tensor) or value.layout != torch.strided or value.is_meta:
        got = type(value).__name__ if not isinstance(value, Tensor) else "one without numbers"
        raise ValueError(f"Expected {name!r} as a tensor (got {got})")
