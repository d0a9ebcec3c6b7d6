"""Channel-adaptive interpolation: move each negative towards its anchor, channel by channel."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from gcahng.graph.dense.pairs import EVERY, Pairs, compute_once, unordered_pairs
from gcahng.graph.precision import full_precision
from gcahng.processes import bounds, exchange_rows, own_part, rank, world_size

DISTANCE_EPS = 1e-6  # as in torch's pairwise_distance


def anchor_distances(
    slots: Tensor, anchors: Tensor | None = None, own: slice = slice(None)
) -> Tensor:
    r"""Distances :math:`\lVert z_{p,a} - z_{n,b} + 10^{-6} \rVert` of anchors to all samples.

    Shapes: slots [P, S, D] of B = P·S samples; `anchors` [P, S, D] replaces z_{p,a}; `own` is the
    range of the n anchors, as flat numbers p·S + a → [n, B].
    """
    flat = slots.flatten(0, 1)
    first = (flat if anchors is None else anchors.flatten(0, 1))[own] + DISTANCE_EPS
    # Computing distances by matrix products would lose precision for small ones.
    return torch.cdist(first, flat, compute_mode="donot_use_mm_for_euclid_dist")


def fold_weights(draws: Tensor) -> Tensor:
    r"""Weights of the P candidates of a negative class in their folded mixture.

    The recursion :math:`m \leftarrow \tilde n_0; \; m \leftarrow \tilde n_n + u_n (m - \tilde n_n)`
    equals the weighted sum with :math:`c_n = (1 - u_n) \prod_{k > n} u_k` and :math:`u_0 = 0`.

    Shapes: draws [P, P-1] in (0, 1) → [P, P]; each row sums to 1.
    """
    later = F.pad(draws, (0, 1), value=1)
    return (1 - F.pad(draws, (1, 0))) * later.flip(1).cumprod(1).flip(1)


@full_precision
def synthetic_negatives(
    slots: Tensor,
    coefficients: Tensor,
    strength: Tensor | float,
    draws: Tensor,
    pairs: Pairs | None = None,
    detach_anchor: bool = False,
) -> Tensor:
    r"""Create one synthetic negative per anchor and negative class.

    For anchor (p, a), positive (p+1 mod P, a) and every candidate (n, b):

    .. math:: \tilde n = z_a + (z_n - z_a) \odot \lambda, \quad
        \lambda = r + (1 - r) \, s \, \eta, \quad r = \min(1, d^+ / d^-)

    so a candidate nearer than the positive (:math:`d^- \le d^+`) is unchanged. The P candidates of
    a class are then folded into one. Gradients flow through the embeddings and both distances.

    Args:
        slots: Embeddings [P, S, D] in slot-major order.
        coefficients: η [B, B, D] in (0, 1), nodes in slot-major order; with `pairs` [M, D].
        strength: s = exp(-α/J̄) in [0, 1]; 0 moves a negative to the positive's distance.
        draws: [P, P-1] in (0, 1), the scalars of the folding.
        pairs: The pairs of the rows of `coefficients` on the dense path.
        detach_anchor: Stop gradients through the anchor :math:`z_a`, also in both distances.

    Returns:
        [P, S, S, D]: slot p, anchor class a, negative class b (b = a included). If several
        processes share the pairs, [n, S, D] for the n anchors of this process.

    Source: GCA-HNG (IJCV 2025), correlation-aware channel-adaptive interpolation.

    Example:
        Anchor (0, 0) has its positive at distance 1 and its negatives at distance 2:

        >>> slots = torch.tensor([[[0.0, 0.0], [2.0, 0.0]], [[0.0, 1.0], [2.0, 0.0]]])
        >>> eta, draws = torch.full((4, 4, 2), 0.5), torch.full((2, 1), 0.5)
        >>> synthetic_negatives(slots, eta, 1.0, draws)[0, 0, 1].round(decimals=3)
        tensor([1.5000, 0.0000])
    """
    anchors = slots.detach() if detach_anchor else slots
    parts: list[tuple[Tensor, Pairs]] = []
    own = slice(0, slots.size(0) * slots.size(1))
    if pairs is not None:
        parts, own = pairs_of_own_anchors(coefficients, pairs)
    base_weight, eta_weight = _mixing_weights(slots, anchors, own, strength, draws)
    anchors = anchors.flatten(0, 1)[own]
    # z_a + Σ_n base_weight (z_n - z_a), with the sums over z_n and z_a separated.
    base = torch.einsum("anb,nbd->abd", base_weight, slots)
    made = base + (1 - base_weight.sum(1)).unsqueeze(-1) * anchors.unsqueeze(1)
    weights = eta_weight.flatten(1)
    mix_pairs = _mix_pairs if torch.compiler.is_compiling() else _PairMixing.apply
    for eta, touching in parts:
        made = made + mix_pairs(slots, eta, weights, touching, own, detach_anchor)
    if pairs is None:
        per_channel = eta_weight.unsqueeze(-1) * coefficients.view(*eta_weight.shape, -1)
        made = made + (per_channel * slots).sum(1) - per_channel.sum(1) * anchors.unsqueeze(1)
    whole = len(made) == slots.size(0) * slots.size(1)
    return made.view(*slots.shape[:2], *made.shape[1:]) if whole else made


def _mixing_weights(
    slots: Tensor, anchors: Tensor, own: slice, strength: Tensor | float, draws: Tensor
) -> tuple[Tensor, Tensor]:
    """Weights [n, P, S] of z_n - z_a for own anchors: without and with η."""
    samples, classes, _ = slots.shape
    nodes = torch.arange(samples * classes, device=slots.device)[own]
    distance = anchor_distances(slots, anchors, own)
    partner = (nodes + classes) % (samples * classes)  # (p + 1 mod P, a)
    positive = distance.gather(1, partner.unsqueeze(1))
    farther = distance > positive
    # Mask the divisor: 0/0 in the unused branch would make the gradient of `where` NaN.
    ratio = torch.where(farther, positive / distance.masked_fill(~farther, 1), 1)
    ratio = ratio.view(-1, samples, classes)
    fold = fold_weights(draws).to(distance.dtype)[nodes // classes].unsqueeze(-1)
    return fold * ratio, fold * (1 - ratio) * strength


def _mix_pairs(
    slots: Tensor, eta: Tensor, weights: Tensor, pairs: Pairs, own: slice, detach_anchor: bool
) -> Tensor:
    """As `_PairMixing`, by plain autograd."""
    classes, channels = slots.shape[1:]
    routes = _routes(pairs, classes, own.start, own.stop)
    nodes = slots.flatten(0, 1)
    first, second = pairs.gather_endpoints(nodes)
    first_anchor, second_anchor = pairs.gather_endpoints(nodes.detach() if detach_anchor else nodes)
    weight_ij, weight_ji = routes.weights(weights, EVERY)
    moved = slots.new_zeros(len(weights) * classes, channels)
    moved.index_add_(0, routes.result[0], (second - first_anchor) * eta * weight_ij)
    moved.index_add_(0, routes.result[1], (first - second_anchor) * eta * weight_ji)
    return moved.view(-1, classes, channels)


class _PairMixing(torch.autograd.Function):
    r""":math:`\sum_n A_{(p,a),(n,b)} \, \eta \odot (z_{n,b} - z_{p,a})` with η stored per pair.

    A row (i, j) contributes A_ij η ⊙ (z_j - z_i) to anchor i and the class of j; if it stands for
    (j, i) too, also A_ji η ⊙ (z_i - z_j) to anchor j and the class of i. Self pairs contribute 0.
    With `detach_anchor`, no gradient flows to the anchor of a contribution.

    Shapes: slots [P, S, D], η [R, D], A [n, B] of the anchors `own` → [n, S, D].
    """

    @staticmethod
    def forward(
        ctx: Any,
        slots: Tensor,
        eta: Tensor,
        weights: Tensor,
        pairs: Pairs,
        own: slice,
        detach_anchor: bool,
    ) -> Tensor:
        ctx.save_for_backward(slots, eta, weights)
        classes, channels = slots.shape[1:]
        nodes = slots.flatten(0, 1)
        moved = slots.new_zeros(len(weights) * classes, channels)
        routes = _routes(pairs, classes, own.start, own.stop)
        for chunk in pairs.chunks():
            first, second = pairs.gather_endpoints(nodes, chunk)
            step = second.sub_(first).mul_(eta[chunk])
            weight_ij, weight_ji = routes.weights(weights, chunk)
            moved.index_add_(0, routes.result[0][chunk], step * weight_ij)
            moved.index_add_(0, routes.result[1][chunk], step * weight_ji, alpha=-1)
        ctx.pairs, ctx.routes, ctx.detach_anchor = pairs, routes, detach_anchor
        return moved.view(-1, classes, channels)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        slots, eta, weights = ctx.saved_tensors
        pairs, routes = ctx.pairs, ctx.routes
        needs_slots, needs_eta, needs_weights, *_ = ctx.needs_input_grad
        nodes, flow = slots.flatten(0, 1), grad.flatten(0, 1)
        grad_nodes = torch.zeros_like(nodes) if needs_slots else None
        grad_eta = torch.empty_like(eta) if needs_eta else None
        grad_weights = torch.zeros_like(weights) if needs_weights else None
        for chunk in pairs.chunks():
            first, second = pairs.gather_endpoints(nodes, chunk)
            difference = second.sub_(first)
            weight_ij, weight_ji = routes.weights(weights, chunk)
            flow_ij, flow_ji = (flow.index_select(0, rows[chunk]) for rows in routes.result)
            upstream = (flow_ij * weight_ij).addcmul_(flow_ji, weight_ji, value=-1)
            row, col = pairs.row[chunk], pairs.col[chunk]
            if grad_eta is not None:
                torch.mul(upstream, difference, out=grad_eta[chunk])
            if grad_nodes is not None and ctx.detach_anchor:
                grad_nodes.index_add_(0, col, (flow_ij * weight_ij).mul_(eta[chunk]))
                grad_nodes.index_add_(0, row, (flow_ji * weight_ji).mul_(eta[chunk]))
            elif grad_nodes is not None:
                upstream.mul_(eta[chunk])
                grad_nodes.index_add_(0, col, upstream).index_add_(0, row, upstream, alpha=-1)
            if grad_weights is not None:
                step = difference.mul_(eta[chunk])
                of_ij = flow_ij.mul_(step).sum(-1, keepdim=True)
                of_ji = flow_ji.mul_(step).sum(-1, keepdim=True).neg_()
                routes.add_weights(grad_weights, chunk, (of_ij, of_ji))
        return (
            None if grad_nodes is None else grad_nodes.view_as(slots),
            *(grad_eta, grad_weights, None, None, None),
        )


class _Routes(NamedTuple):
    """Where the rows (i, j) of some pairs go, for i → j and j → i."""

    # Rows [R] of the result, numbered anchor · S + negative class.
    result: tuple[Tensor, Tensor]
    # Entries [R] of the flat weights A.
    weight: tuple[Tensor, Tensor]
    # [R, 1] or None for 1: 0 if the anchor belongs to another process or the pair's row does not
    # stand for this direction, else 1.
    factor: tuple[Tensor | None, Tensor]

    def weights(self, weights: Tensor, chunk: slice) -> list[Tensor]:
        """The weights A_ij and A_ji of a chunk of pairs, [m, 1] each."""
        found = []
        for entries, factor in zip(self.weight, self.factor, strict=True):
            chosen = weights.view(-1).index_select(0, entries[chunk]).unsqueeze(1)
            found.append(chosen if factor is None else chosen * factor[chunk].to(weights.dtype))
        return found

    def add_weights(self, total: Tensor, chunk: slice, values: Sequence[Tensor]) -> None:
        """Add the gradients [m, 1] of both weights to that of A."""
        for entries, factor, value in zip(self.weight, self.factor, values, strict=True):
            own = value if factor is None else value * factor[chunk].to(value.dtype)
            total.view(-1).index_add_(0, entries[chunk], own[:, 0])


def _routes(pairs: Pairs, classes: int, start: int, stop: int) -> _Routes:
    # Batches repeat their size; a GPU would compute all this again, an operation at a time.
    key = ("routes", classes, start, stop)
    if key not in pairs.derived:
        pairs.derived[key] = _find_routes(pairs, classes, start, stop)
    found: _Routes = pairs.derived[key]
    return found


def _find_routes(pairs: Pairs, classes: int, start: int, stop: int) -> _Routes:
    with torch.inference_mode(False):
        row, col, mirrored = pairs.row, pairs.col, pairs.mirrored(slice(None), torch.float32)
        own_i, own_j = ((end >= start) & (end < stop) for end in (row, col))
        i, j = (row - start).masked_fill(~own_i, 0), (col - start).masked_fill(~own_j, 0)
        whole = stop - start == pairs.num_nodes
        return _Routes(
            (i * classes + col % classes, j * classes + row % classes),
            (i * pairs.num_nodes + col, j * pairs.num_nodes + row),
            (None if whole else own_i.unsqueeze(1).float(), mirrored * own_j.unsqueeze(1)),
        )


def pairs_of_own_anchors(values: Tensor, pairs: Pairs) -> tuple[list[tuple[Tensor, Pairs]], slice]:
    """Collect the values of all pairs that touch one of this process's nodes.

    Mixing needs η of an anchor with all nodes, but pairs are split over the processes. So each
    process sends every pair's value [m, D] to the owners of its two endpoints.

    Returns:
        Values and their pairs: the arguments, which may touch other nodes too and need no copy,
        and those received from others; and the range of own nodes.
    """
    group = pairs.group
    if group is None:
        return [(values, pairs)], slice(0, pairs.num_nodes)
    plan = _plan(pairs.num_nodes, values.device, rank(group), world_size(group))
    received = exchange_rows(values, plan.chosen, plan.sent, plan.received, group)
    return [(values, pairs), (received, plan.pairs)], own_part(pairs.num_nodes, group)


@dataclass(frozen=True)
class _Plan:
    """Which own pairs are sent to each process, and which pairs of others are received."""

    chosen: Tensor
    sent: list[int]
    received: list[int]
    pairs: Pairs


@compute_once
def _plan(num_nodes: int, device: torch.device, process: int, processes: int) -> _Plan:
    whole = unordered_pairs(num_nodes, device)
    nodes, parts = bounds(num_nodes, processes), bounds(whole.row.numel(), processes)
    own = slice(parts[process], parts[process + 1])
    wanted = [_touching(whole, nodes, other)[own] for other in range(processes)]
    wanted[process].zero_()  # these need not be sent
    chosen = [rows.nonzero()[:, 0] for rows in wanted]
    mine = _touching(whole, nodes, process)
    mine[own] = False
    received = [int(mine[a:b].sum()) for a, b in pairwise(parts)]
    at = mine.nonzero()[:, 0]
    pairs = Pairs(whole.row[at], whole.col[at], whole.weight[at], whole.index)
    return _Plan(torch.cat(chosen), [len(rows) for rows in chosen], received, pairs)


def _touching(pairs: Pairs, nodes: list[int], process: int) -> Tensor:
    start, stop = nodes[process], nodes[process + 1]
    row, col = pairs.row, pairs.col
    return ((row >= start) & (row < stop)) | ((col >= start) & (col < stop))
