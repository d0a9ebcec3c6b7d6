"""The edge update on unordered pairs, with activation checkpointing.

Nearly all of the method's cost is here, and pairs are independent of each other. Forward runs in
chunks of pairs and saves only the costly activations; backward recomputes the rest. Under
`torch.compile` all of them are one chunk, and the compiler chooses what to save.
"""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from gcahng.graph.dense.pairs import (
    EVERY,
    Memory,
    Pairs,
    add_product,
    add_to,
    autocast_state,
    saves_hidden,
    unordered_pairs,
)
from gcahng.graph.precision import full_precision, half_to_float32

# Activations saved for backward; "hidden" saves the output as well.
Saved = Literal["nothing", "output", "hidden"]
# By the field of `EdgeInputs`.
Gradients = dict[str, Tensor]


class EdgeInputs(NamedTuple):
    """Differentiable inputs of the edge update.

    Of each node, `nodes` holds b, f and v side by side: its attention score is e·f_i + b_i with
    f [H, D] and b [H], its value v [H, D/H].
    """

    edge_attr: Tensor  # e [M, D]
    nodes: Tensor  # [B, H + HD + D]
    gamma: Tensor  # [D], of the LayerNorm shared by both residual updates
    beta: Tensor
    w1: Tensor  # [4D, D], of the feed-forward's first linear map
    b1: Tensor
    inner_gamma: Tensor  # [4D], of the feed-forward's LayerNorm
    inner_beta: Tensor
    w2: Tensor  # [D, 4D], of its second linear map
    b2: Tensor


def update_edges(
    inputs: EdgeInputs, pairs: Pairs, dropout_mask: Tensor | None = None, memory: Memory = "auto"
) -> Tensor:
    r"""Attend to the two endpoints, then feed forward, each with residual and norm.

    .. math:: a &= N(w \, v_i + (1 - w) \, v_j + e), \quad
            w = \sigma(e \cdot (f_i - f_j) + b_i - b_j) \\
        e' &= N(o + a), \quad o = W_2 \, \mathrm{LayerNorm}(\mathrm{GELU}(W_1 a + b_1)) + b_2

    with :math:`N(\cdot) = \mathrm{LayerNorm}(\mathrm{GELU}(\cdot))`.

    The dropout mask [M, 2, H] scales the two weights; `memory` decides whether the hidden
    pre-activation [M, 4D] is saved for backward, in addition to the inputs and o [M, D].

    Shapes: pairs m = (i, j) → e' [M, D].
    """
    # Attention runs in full precision, so inputs that autocast made half precision are cast back.
    inputs = EdgeInputs(*(half_to_float32(tensor) for tensor in inputs))
    if torch.compiler.is_compiling():
        return _update(inputs, pairs, EVERY, dropout_mask)[0]
    saved: Saved = "nothing"
    if torch.is_grad_enabled():
        hidden = saves_hidden(memory, inputs.edge_attr, inputs.b1.numel())
        saved = "hidden" if hidden else "output"
    return _EdgeUpdate.apply(pairs, dropout_mask, saved, *inputs)


@full_precision
def activate_norm(x: Tensor, gamma: Tensor, beta: Tensor) -> Tensor:
    """N = LayerNorm(GELU): [m, D] → [m, D]."""
    return F.layer_norm(F.gelu(x), gamma.shape, gamma, beta)


@full_precision
def attend(
    dropout_mask: Tensor | None,
    rows: Tensor,
    difference: Tensor,
    offset: Tensor,
    first: Tensor,
    second: Tensor,
) -> Tensor:
    """Attention of each pair to its two endpoints, plus the residual.

    Shapes: dropout_mask [m, 2, H], rows of e [m, D], difference f_i - f_j [m, H, D], offset
    [m, H], values of both endpoints [m, H, D/H] → [m, D].
    """
    weight = ((rows.unsqueeze(1) * difference).sum(-1) + offset).sigmoid()
    weights = weight, 1 - weight
    if dropout_mask is not None:
        weights = weights[0] * dropout_mask[:, 0], weights[1] * dropout_mask[:, 1]
    result = torch.addcmul(rows.view_as(first), first, weights[0].unsqueeze(-1))
    return torch.addcmul(result, second, weights[1].unsqueeze(-1)).flatten(1)


class _EdgeUpdate(torch.autograd.Function):
    """`update_edges` with an explicit choice of what to save."""

    @staticmethod
    def forward(
        ctx: Any, pairs: Pairs, dropout_mask: Tensor | None, saved: Saved, *tensors: Tensor
    ) -> Tensor:
        t = EdgeInputs(*tensors)
        result = torch.empty_like(t.edge_attr)
        outputs, hiddens = [], []
        chunks = pairs.chunks(large=saved != "output")
        for chunk in chunks:
            result[chunk], output, hidden = _update(t, pairs, chunk, dropout_mask)
            if saved != "nothing":
                outputs.append(output)
            if saved == "hidden":
                hiddens.append(hidden)
        ctx.save_for_backward(*t, dropout_mask, *outputs, *hiddens)
        ctx.pairs, ctx.chunks = pairs, chunks
        ctx.autocast = autocast_state(result.device.type)
        return result

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        """Differentiate chunk by chunk and accumulate gradients of nodes and parameters."""
        count = len(EdgeInputs._fields)
        t = EdgeInputs(*ctx.saved_tensors[:count])
        dropout_mask, *saved = ctx.saved_tensors[count:]
        needed = ctx.needs_input_grad[-count:]
        trained = any(needed[EdgeInputs._fields.index("gamma") :])
        outputs, hiddens = saved[: len(ctx.chunks)], saved[len(ctx.chunks) :]
        # Those of the parameters begin with the first chunk.
        total: Gradients = {"nodes": torch.zeros_like(t.nodes)}
        if needed[0]:
            total["edge_attr"] = torch.empty_like(t.edge_attr)
        with ctx.autocast():
            for number, chunk in enumerate(ctx.chunks):
                leaves = _leaves(*_rows(t, ctx.pairs, chunk), t.gamma, t.beta)
                leaves[0].requires_grad_(needed[0])
                mask = None if dropout_mask is None else dropout_mask[chunk]
                with torch.enable_grad():
                    sums = attend(mask, *leaves[:-2])
                    attended = activate_norm(sums, *leaves[-2:])
                hidden = hiddens[number] if hiddens else None
                flow = _feed_forward_backward(
                    t, total, attended.detach(), outputs[number], hidden, grad[chunk], trained
                )
                wanted = leaves[0 if needed[0] else 1 : None if trained else -2]
                found = list(torch.autograd.grad(attended, wanted, flow))
                if needed[0]:
                    total["edge_attr"][chunk] = found.pop(0)
                _add_attention(total["nodes"], ctx.pairs, chunk, *found[:4])
                _add(total, ("gamma", "beta"), found[4:])
        fields = zip(EdgeInputs._fields, needed, strict=True)
        return None, None, None, *(total[name] if need else None for name, need in fields)


def _update(
    t: EdgeInputs, pairs: Pairs, chunk: slice, dropout_mask: Tensor | None
) -> tuple[Tensor, Tensor, Tensor]:
    """Update a chunk of pairs: e', o and the hidden pre-activation."""
    mask = None if dropout_mask is None else dropout_mask[chunk]
    attended = activate_norm(attend(mask, *_rows(t, pairs, chunk)), t.gamma, t.beta)
    hidden = F.linear(attended, t.w1, t.b1)
    output = F.linear(_activate_hidden(hidden, t.inner_gamma, t.inner_beta), t.w2, t.b2)
    return activate_norm(output + attended, t.gamma, t.beta), output, hidden


def _leaves(*tensors: Tensor) -> list[Tensor]:
    return [tensor.detach().requires_grad_() for tensor in tensors]


def _parts(nodes: Tensor, width: int) -> tuple[Tensor, Tensor, Tensor]:
    """Biases [n, H], folded queries [n, H, D] and values [n, H, D/H] of `EdgeInputs.nodes`."""
    heads = nodes.size(1) // (width + 1)
    bias, folded, value = nodes.split([heads, nodes.size(1) - heads - width, width], dim=1)
    return bias, folded.unflatten(1, (heads, width)), value.unflatten(1, (heads, -1))


def _rows(t: EdgeInputs, pairs: Pairs, chunk: slice) -> tuple[Tensor, ...]:
    """The arguments of `attend` for a chunk of pairs."""
    width = t.edge_attr.size(1)
    first, second = pairs.gather_endpoints(t.nodes, chunk)
    *_, first_value = _parts(first, width)
    *_, second_value = _parts(second, width)
    difference = first[:, :-width] - second[:, :-width]
    heads = first_value.size(1)
    folded = difference[:, heads:].unflatten(1, (heads, width))
    return t.edge_attr[chunk], folded, difference[:, :heads], first_value, second_value


def _add_attention(
    total: Tensor,
    pairs: Pairs,
    chunk: slice,
    difference: Tensor,
    offset: Tensor,
    first: Tensor,
    second: Tensor,
) -> None:
    """Add the gradients of one chunk's attention to those of the nodes, [B, H + HD + D]."""
    row, col = pairs.row[chunk], pairs.col[chunk]
    bias, folded, value = _parts(total, first[0].numel())
    folded.index_add_(0, row, difference).index_add_(0, col, difference, alpha=-1)
    value.index_add_(0, row, first).index_add_(0, col, second)
    bias.index_add_(0, row, offset).index_add_(0, col, offset, alpha=-1)


def _activate_hidden(hidden: Tensor, gamma: Tensor, beta: Tensor) -> Tensor:
    return F.layer_norm(F.gelu(hidden), gamma.shape, gamma, beta)


def _feed_forward_backward(
    t: EdgeInputs,
    total: Gradients,
    attended: Tensor,
    output: Tensor,
    hidden: Tensor | None,
    grad: Tensor,
    trained: bool,
) -> Tensor:
    """Map the gradient of e' to that of a, [m, D]; add those of trained parameters."""
    wanted = slice(None if trained else 1)
    leaves = _leaves(output + attended, t.gamma, t.beta)
    with torch.enable_grad():
        result = activate_norm(*leaves)
    flow, *norm = torch.autograd.grad(result, leaves[wanted], grad)
    _add(total, ("gamma", "beta"), norm)

    if hidden is None:
        hidden = F.linear(attended, t.w1, t.b1)
    leaves = _leaves(hidden, t.inner_gamma, t.inner_beta)
    with torch.enable_grad():
        normed = _activate_hidden(*leaves)
    if trained:
        _add(total, ("b2",), [flow.sum(0)])
        total["w2"] = add_product(total.get("w2"), flow.t(), normed.detach())
    inner, *norm = torch.autograd.grad(normed, leaves[wanted], (flow @ t.w2).to(normed.dtype))
    _add(total, ("inner_gamma", "inner_beta"), norm)
    if trained:
        _add(total, ("b1",), [inner.sum(0)])
        total["w1"] = add_product(total.get("w1"), inner.t(), attended)
    return add_product(flow, inner, t.w1)


def _add(total: Gradients, names: Sequence[str], found: Sequence[Tensor]) -> None:
    for name, gradient in zip(names, found, strict=False):
        total[name] = add_to(total.get(name), gradient)


def endpoint_dropout_mask(count: int, heads: int, rate: float, like: Tensor) -> Tensor:
    """Scaled dropout mask of both endpoint weights: 0 or 1/(1-rate), [count, 2, heads]."""
    # In bfloat16, 1/(1-0.1) would be 1.109 instead of 1.111.
    mask = half_to_float32(like.new_empty(count, 2, heads))
    return mask.bernoulli_(1 - rate).div_(1 - rate)


def tied_mask(pairs: Pairs, heads: int, rate: float, like: Tensor) -> Tensor:
    """One draw for each pair i ≤ j; an edge (j, i) swaps the two weights: [M, 2, heads]."""
    # Drawn for all pairs, so that the mask does not depend on how they are split.
    mask = endpoint_dropout_mask(pairs.total, heads, rate, like)
    if pairs.group is None and pairs.row.numel() == pairs.total:
        return mask
    whole = unordered_pairs(pairs.num_nodes, mask.device)
    mask = mask[whole.index[pairs.row, pairs.col]]
    return torch.where((pairs.row > pairs.col).view(-1, 1, 1), mask.flip(1), mask)


def independent_mask(
    pairs: Pairs, heads: int, rate: float, like: Tensor
) -> tuple[Tensor, Pairs, Tensor]:
    """One draw for each directed edge; pairs whose two masks differ, once swapped, are separated.

    Returns:
        The mask [M, 2, heads] of the new rows, the new pairs, and the old row of each new one.
    """
    size = pairs.num_nodes
    mask = endpoint_dropout_mask(size * size, heads, rate, like).view(size, size, 2, heads)
    differs = (mask != mask.transpose(0, 1).flip(2)).flatten(2).any(-1)
    pairs, source = pairs.separate(differs)
    return mask[pairs.row, pairs.col], pairs, source
