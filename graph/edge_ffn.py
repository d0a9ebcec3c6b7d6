"""The edge feed-forward, the heaviest map of the method, with little kept for backward."""

from contextlib import AbstractContextManager
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Memory = Literal["auto", "balanced", "low"]

# Rows per chunk: the hidden layer of a chunk stays in the processor's cache.
CHUNK = 512
# "auto" recomputes the hidden layer once it would take more than this many bytes.
LARGE_HIDDEN = 64 * 2**20


def edge_feed_forward(ffn: nn.Sequential, edge_attr: Tensor, memory: Memory = "auto") -> Tensor:
    """`ffn(edge_attr)` in chunks: Linear(D, 4D) → GELU → LayerNorm → Linear(4D, D).

    Kept for backward are the input and, with `memory="balanced"`, the hidden layer before its
    GELU; `"low"` recomputes that too, one linear map more; `"auto"` chooses by its size.

    Shapes: [M, D] → [M, D].
    """
    first: Any
    first, _, norm, second = ffn
    if memory == "auto":
        hidden_bytes = edge_attr.size(0) * first.out_features * edge_attr.element_size()
        memory = "low" if hidden_bytes > LARGE_HIDDEN else "balanced"
    return _EdgeFeedForward.apply(
        edge_attr,
        *(first.weight, first.bias, norm.weight, norm.bias, second.weight, second.bias),
        norm.eps,
        memory == "balanced",
    )


class _EdgeFeedForward(torch.autograd.Function):
    """Chunked forward, chunked backward from the input or the hidden layer."""

    @staticmethod
    def forward(
        ctx: Any,
        edge_attr: Tensor,
        w1: Tensor,
        b1: Tensor,
        gamma: Tensor,
        beta: Tensor,
        w2: Tensor,
        b2: Tensor,
        eps: float,
        keep_hidden: bool,
    ) -> Tensor:
        """Run the map; keep the hidden layer only if asked and if a gradient will be."""
        outputs, kept = [], []
        for rows in edge_attr.split(CHUNK):
            hidden = F.linear(rows, w1, b1)
            normed = F.layer_norm(F.gelu(hidden), gamma.shape, gamma, beta, eps)
            outputs.append(F.linear(normed, w2, b2))
            if keep_hidden and any(ctx.needs_input_grad):
                kept.append(hidden)
        ctx.save_for_backward(edge_attr, w1, b1, gamma, beta, w2, *kept)
        ctx.eps = eps
        ctx.autocast = _autocast_state(edge_attr.device.type)
        return torch.cat(outputs)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        """Differentiate GELU and LayerNorm a chunk at a time, the linear maps by their products."""
        edge_attr, w1, b1, gamma, beta, w2, *kept = ctx.saved_tensors
        grad_w1, grad_b1 = torch.zeros_like(w1), torch.zeros_like(b1)
        grad_gamma, grad_beta = torch.zeros_like(gamma), torch.zeros_like(beta)
        grad_w2, grad_rows = torch.zeros_like(w2), []
        with ctx.autocast():
            for k, rows in enumerate(edge_attr.split(CHUNK)):
                out = grad[k * CHUNK : k * CHUNK + len(rows)]
                hidden = kept[k] if kept else F.linear(rows, w1, b1)
                leaves = [t.detach().requires_grad_() for t in (hidden, gamma, beta)]
                with torch.enable_grad():
                    activated = F.gelu(leaves[0])
                    normed = F.layer_norm(activated, gamma.shape, leaves[1], leaves[2], ctx.eps)
                grad_w2 += out.t() @ normed.detach()
                flow, d_gamma, d_beta = torch.autograd.grad(normed, leaves, (out @ w2).to(normed))
                grad_gamma += d_gamma
                grad_beta += d_beta
                grad_w1 += flow.t() @ rows
                grad_b1 += flow.sum(0)
                if ctx.needs_input_grad[0]:
                    grad_rows.append((flow @ w1).to(rows.dtype))
        grad_edge = torch.cat(grad_rows) if grad_rows else None
        grad_b2 = grad.sum(0).to(w2.dtype)
        return grad_edge, grad_w1, grad_b1, grad_gamma, grad_beta, grad_w2, grad_b2, None, None


def _autocast_state(device_type: str) -> Any:
    """A context manager factory that restores the present autocast setting in backward."""
    enabled, dtype = torch.is_autocast_enabled(device_type), torch.get_autocast_dtype(device_type)

    def restore() -> AbstractContextManager[Any]:
        return torch.autocast(device_type, dtype=dtype, enabled=enabled)

    return restore
