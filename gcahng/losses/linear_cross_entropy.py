"""The cross entropy of a linear classifier, without the logits of all rows at once."""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from gcahng.graph.precision import autocast, half_to_float32

# More logits than this (16 MiB in float32) are computed in chunks, which is then faster, too.
LARGE = 2**22
# Logits of a chunk: small for a processor's cache, large where every operation has to be launched.
CHUNK, CHUNK_ON_GPU = 2**21, 2**24


def linear_cross_entropy(
    inputs: Tensor, weight: Tensor, bias: Tensor, targets: Tensor, reduction: str = "none"
) -> Tensor:
    r"""Cross entropy of the logits :math:`x W^\top + b`.

    Up to `LARGE` logits it is PyTorch's, in two steps. More are computed chunk by chunk and never
    stored: for a fixed classifier, forward also computes the gradient of the inputs; for a trained
    one, backward computes the logits again. The result is the same up to rounding.

    Shapes: inputs [..., D] of N rows, weight [C, D], bias [C], integers targets [N] → [N], or for
    the reduction `mean` a scalar; float32 or wider.
    """
    if inputs.numel() // inputs.size(-1) * len(weight) <= LARGE:
        logits = half_to_float32(F.linear(inputs, weight, bias)).flatten(0, -2)
        return F.cross_entropy(logits, targets, reduction=reduction)
    losses = chunked_cross_entropy(inputs.flatten(0, -2), weight, bias, targets)
    return losses.mean() if reduction == "mean" else losses


def chunked_cross_entropy(inputs: Tensor, weight: Tensor, bias: Tensor, targets: Tensor) -> Tensor:
    """`linear_cross_entropy` in chunks, whatever the number of logits; inputs are [N, D]."""
    device = inputs.device.type
    tensors = [inputs, weight, bias]
    if torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device):
        # As autocast casts the arguments of a linear map, once for all chunks.
        dtype = torch.get_autocast_dtype(device)
        tensors = [t if t.dtype == torch.float64 else t.to(dtype) for t in tensors]
    if not torch.is_grad_enabled():
        tensors = [tensor.detach() for tensor in tensors]
    return _ChunkedCrossEntropy.apply(*tensors, targets)


class _ChunkedCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, inputs: Tensor, weight: Tensor, bias: Tensor, targets: Tensor) -> Tensor:
        trains_inputs, *trains_classifier = ctx.needs_input_grad[:3]
        ctx.recompute = any(trains_classifier)
        wide = torch.promote_types(inputs.dtype, torch.float32)
        losses, logsumexp = inputs.new_empty(2, len(inputs), dtype=wide)
        in_forward = trains_inputs and not ctx.recompute
        gradient = torch.empty_like(inputs) if in_forward else None
        with autocast(inputs.device.type, enabled=False):
            for rows in _chunks(inputs, weight):
                logits = half_to_float32(F.linear(inputs[rows], weight, bias))
                torch.logsumexp(logits, dim=1, out=logsumexp[rows])
                chosen = logits.gather(1, targets[rows].unsqueeze(1)).squeeze(1)
                torch.sub(logsumexp[rows], chosen, out=losses[rows])
                if gradient is not None:
                    error = _error(logits, logsumexp[rows], targets[rows])
                    torch.mm(error.to(weight.dtype), weight, out=gradient[rows])
        if ctx.recompute:
            ctx.save_for_backward(inputs, weight, bias, targets, logsumexp)
        else:
            ctx.save_for_backward(gradient)
        return losses

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        if not ctx.recompute:
            (gradient,) = ctx.saved_tensors
            # In the loss's precision: the factor can be too small for half precision.
            return (gradient * grad.unsqueeze(1)).to(gradient.dtype), None, None, None
        inputs, weight, bias, targets, logsumexp = ctx.saved_tensors
        trains_inputs = ctx.needs_input_grad[0]
        grad_inputs = torch.empty_like(inputs) if trains_inputs else None
        # Summed over the chunks in float32 or wider.
        grad_weight = torch.zeros_like(weight, dtype=logsumexp.dtype)
        grad_bias = torch.zeros_like(bias, dtype=logsumexp.dtype)
        with autocast(inputs.device.type, enabled=False):
            for rows in _chunks(inputs, weight):
                logits = half_to_float32(F.linear(inputs[rows], weight, bias))
                error = _error(logits, logsumexp[rows], targets[rows])
                error = error.mul_(grad[rows].unsqueeze(1)).to(weight.dtype)
                if grad_inputs is not None:
                    torch.mm(error, weight, out=grad_inputs[rows])
                grad_weight += error.T @ inputs[rows]
                grad_bias += error.sum(dim=0)
        return grad_inputs, grad_weight.to(weight.dtype), grad_bias.to(bias.dtype), None


def _chunks(inputs: Tensor, weight: Tensor) -> list[slice]:
    entries = CHUNK if inputs.device.type == "cpu" else CHUNK_ON_GPU
    size = max(1, entries // len(weight))
    return [slice(start, start + size) for start in range(0, len(inputs), size)]


def _error(logits: Tensor, logsumexp: Tensor, targets: Tensor) -> Tensor:
    """Softmax minus one-hot targets: the gradient of the losses; overwrites the logits."""
    error = logits.sub_(logsumexp.unsqueeze(1)).exp_()
    rows = torch.arange(len(targets), device=targets.device)
    error[rows, targets] -= 1
    return error
