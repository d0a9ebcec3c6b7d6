"""The rows that store the edges of a complete graph, and functions of their values.

There is one row for each pair, or one per direction. The functions save a single [M, D] tensor for
backward: plain autograd would save every intermediate result; these recompute them in chunks of
pairs. Under `torch.compile` each is its plain formula, since the compiler itself chooses what to
save.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import cached_property, wraps
from typing import Any, Literal, TypeVar, cast

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from gcahng.graph.precision import full_precision, half_to_float32
from gcahng.processes import Group, gather_rows, sum_over_processes

Function = TypeVar("Function", bound=Callable[..., Any])

# Pairs per chunk. On a CPU the 4D-wide hidden layer of a chunk should fit the cache; a GPU needs
# more rows for full utilisation.
CPU_CHUNK = 256
DEVICE_CHUNK = 8192
EVERY = slice(None)


def compute_once(function: Function) -> Function:
    """Decorator: keep the result for each tuple of arguments, since batches repeat their size.

    Unlike `functools.cache`, `torch.compile` takes what is known already as an input. Nothing is
    ever dropped: a recorded CUDA graph reads its memory.
    """
    known: dict[tuple[Any, ...], Any] = {}

    @wraps(function)
    def look_up(*key: Any) -> Any:
        if key not in known:
            # Tensors created in inference mode cannot be used in a later training step.
            with torch.inference_mode(False):
                known[key] = function(*key)
        return known[key]

    return cast(Function, look_up)


@dataclass(frozen=True, eq=False)
class Pairs:
    """All pairs i ≤ j of B nodes, sorted by (i, j); M = B(B+1)/2.

    A pair's row stands for both of its edges, (i, j) and (j, i). Once they differ, it stands for
    (i, j) only, and a row for (j, i) follows those of the pairs (`separate`): R ≥ M rows.

    Attributes:
        row: [R] the first node i, the smaller one in the first M rows.
        col: [R] the second node j.
        weight: [R] number of directed edges of a row: 2, or 1 on the diagonal and where the two
            directions have a row each.
        index: [B, B] row of each ordered pair; symmetric unless pairs are separated.
        group: The processes that share the M pairs: row, col and weight hold only the part of this
            process (`own_pairs`); None: all pairs are here.
        derived: What others have computed from them once, by its arguments; it lives as long as
            they do, as a recorded CUDA graph needs.
    """

    row: Tensor
    col: Tensor
    weight: Tensor
    index: Tensor
    group: Group = None
    derived: dict[Any, Any] = field(default_factory=dict, repr=False)

    @property
    def num_nodes(self) -> int:
        """B, the number of nodes."""
        return self.index.size(0)

    @property
    def total(self) -> int:
        """M, the number of pairs of all nodes."""
        return self.num_nodes * (self.num_nodes + 1) // 2

    def chunks(self, large: bool = False) -> list[slice]:
        """Consecutive ranges of pairs, sized for the device; `large` is faster but takes memory."""
        size = CPU_CHUNK if self.row.device.type == "cpu" else DEVICE_CHUNK
        size = 2 * size if large else size
        count = self.row.numel()
        return [slice(start, min(start + size, count)) for start in range(0, count, size)]

    def gather_endpoints(self, nodes: Tensor, chunk: slice = EVERY) -> tuple[Tensor, Tensor]:
        """Gather node values at both endpoints of each pair: [B, …] → two of [m, …]."""
        return nodes.index_select(0, self.row[chunk]), nodes.index_select(0, self.col[chunk])

    def mirrored(self, chunk: slice, dtype: torch.dtype) -> Tensor:
        """1 for rows of a chunk that stand for two edges, (i, j) and (j, i), else 0: [m, 1]."""
        return self._mirrored[chunk].to(dtype)

    @cached_property
    def _mirrored(self) -> Tensor:
        with torch.inference_mode(False):
            return (self.weight - 1).unsqueeze(1).float()

    def scatter_to_endpoints(self, nodes: Tensor, values: Tensor, chunk: slice = EVERY) -> None:
        """Add the value of each edge (i, j) to its node i in place: values [m, D], nodes [B, D]."""
        nodes.index_add_(0, self.row[chunk], values)
        nodes.index_add_(0, self.col[chunk], values * self.mirrored(chunk, values.dtype))

    def separate(self, differs: Tensor) -> tuple["Pairs", Tensor]:
        """Give (j, i) a row of its own where it now `differs` [B, B] from (i, j).

        Returns:
            The new pairs, and for each of their rows the present one, whose value it inherits.
        """
        # A GPU makes the host wait for their number.
        chosen = (differs[self.row, self.col] & (self.weight == 2)).nonzero()[:, 0]
        count = self.row.numel()
        source = torch.cat([torch.arange(count, device=chosen.device), chosen])
        row = torch.cat([self.row, self.col[chosen]])
        col = torch.cat([self.col, self.row[chosen]])
        weight = torch.cat([self.weight.index_fill(0, chosen, 1), torch.ones_like(chosen)])
        index = self.index.clone()
        index[row[count:], col[count:]] = torch.arange(count, row.numel(), device=chosen.device)
        return Pairs(row, col, weight, index), source

    def sum_over_parts(self, value: Tensor) -> Tensor:
        """Sum a tensor over the processes that share the pairs, with gradient."""
        return sum_over_processes(value, self.group)

    def to_dense(self, values: Tensor) -> Tensor:
        """Expand pair values to all ordered pairs: [M, D] → [B, B, D], gathered if split."""
        values = gather_rows(values, self.total, self.group)
        size = self.num_nodes
        return values.index_select(0, self.index.reshape(-1)).view(size, size, -1)


@compute_once
def unordered_pairs(num_nodes: int, device: torch.device) -> Pairs:
    """The pairs of a complete graph with self loops."""
    row, col = torch.triu_indices(num_nodes, num_nodes, device=device)
    index = torch.empty(num_nodes, num_nodes, dtype=torch.long, device=device)
    numbers = torch.arange(row.numel(), device=device)
    index[row, col] = numbers
    index[col, row] = numbers
    return Pairs(row, col, 2 - (row == col).long(), index)


@compute_once
def complete_edges(num_nodes: int, device: torch.device) -> Tensor:
    """All ordered pairs [2, B²], row-major and cached: edge i·B + j goes from node i to node j."""
    nodes = torch.arange(num_nodes, device=device)
    return torch.stack([nodes.repeat_interleave(num_nodes), nodes.repeat(num_nodes)])


def pairs_of_edges(edge_index: Tensor, num_nodes: int) -> tuple[int, Tensor]:
    """Number the unordered pairs of any graph's edges: how many, and that of each edge, [E]."""
    device, complete = edge_index.device, edge_index.size(1) == num_nodes**2
    if complete and edge_index is complete_edges(num_nodes, device):
        # The pairs of a batch graph are known; to find them, the host would wait for a GPU.
        pairs = unordered_pairs(num_nodes, device)
        return pairs.row.numel(), pairs.index.reshape(-1)
    low, high = edge_index.min(dim=0).values, edge_index.max(dim=0).values
    found, pair_of_edge = (low * num_nodes + high).unique(return_inverse=True)
    return found.numel(), pair_of_edge


Memory = Literal["auto", "balanced", "low"]

# "auto" saves a hidden activation of at most this many bytes.
LARGE_HIDDEN = 256 * 2**20


def saves_hidden(memory: Memory, edge_attr: Tensor, width: int) -> bool:
    """True if forward should save the hidden activation [M, width] for backward.

    "balanced" always does; "low" never, so backward recomputes it; "auto" up to `LARGE_HIDDEN`.
    """
    if memory == "auto":
        return edge_attr.size(0) * width * edge_attr.element_size() <= LARGE_HIDDEN
    return memory == "balanced"


def add_to(total: Tensor | None, term: Tensor) -> Tensor:
    """Add a term to a sum in place; the first one, in float32 or wider, begins it."""
    return half_to_float32(term) if total is None else total.add_(term)


def add_product(total: Tensor | None, left: Tensor, right: Tensor) -> Tensor:
    """Compute total += left @ right as `add_to`; autocast affects only the product."""
    device = left.device.type
    autocasts = torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device)
    if total is None or autocasts:
        return add_to(total, left @ right)
    return total.addmm_(left, right)


def autocast_state(device_type: str) -> Callable[[], AbstractContextManager[Any]]:
    """Capture the current autocast setting, so that backward can restore it."""
    if not torch.amp.is_autocast_available(device_type):
        return nullcontext
    enabled, dtype = torch.is_autocast_enabled(device_type), torch.get_autocast_dtype(device_type)

    def restore() -> AbstractContextManager[Any]:
        return torch.autocast(device_type, dtype=dtype, enabled=enabled)

    return restore


def endpoint_product(nodes: Tensor, pairs: Pairs) -> Tensor:
    r""":math:`n_i \odot n_j` of both endpoints: [B, D] → [M, D]; saves the nodes only."""
    if torch.compiler.is_compiling():
        first, second = pairs.gather_endpoints(nodes)
        return first * second
    return _EndpointProduct.apply(nodes, pairs)


class _EndpointProduct(torch.autograd.Function):
    """`endpoint_product`; plain autograd would save both factors [M, D]."""

    @staticmethod
    def forward(ctx: Any, nodes: Tensor, pairs: Pairs) -> Tensor:
        ctx.save_for_backward(nodes)
        ctx.pairs = pairs
        result = nodes.new_empty(pairs.row.numel(), nodes.size(1))
        for chunk in pairs.chunks():
            torch.mul(*pairs.gather_endpoints(nodes, chunk), out=result[chunk])
        return result

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        (nodes,), pairs = ctx.saved_tensors, ctx.pairs
        of_first, of_second = torch.zeros_like(nodes), torch.zeros_like(nodes)
        for chunk in pairs.chunks():
            first, second = pairs.gather_endpoints(nodes, chunk)
            of_first.index_add_(0, pairs.row[chunk], second.mul_(grad[chunk]))
            of_second.index_add_(0, pairs.col[chunk], first.mul_(grad[chunk]))
        return of_first.add_(of_second), None


def gelu_sum(
    edge_attr: Tensor, weight: Tensor, bias: Tensor, pairs: Pairs, memory: Memory = "auto"
) -> Tensor:
    r"""Map pair features, apply GELU and sum over all partners of each node, itself included.

    .. math:: s_i = \textstyle\sum_j \mathrm{GELU}(W e_{ij} + b)

    `memory` sets whether W e + b is saved for backward.

    Shapes: e [M, D], W [C, D], b [C] → [B, C], summed in full precision.
    """
    if torch.compiler.is_compiling():
        total = half_to_float32(bias.new_zeros(pairs.num_nodes, bias.numel()))
        hidden = F.linear(edge_attr, weight, bias).to(total.dtype)
        pairs.scatter_to_endpoints(total, F.gelu(hidden))
        return total
    save = torch.is_grad_enabled() and saves_hidden(memory, edge_attr, bias.numel())
    return pairs.sum_over_parts(_GeluSum.apply(edge_attr, weight, bias, pairs, save))


class _GeluSum(torch.autograd.Function):
    """`gelu_sum` in chunks of pairs."""

    @staticmethod
    def forward(
        ctx: Any, edge_attr: Tensor, weight: Tensor, bias: Tensor, pairs: Pairs, save_hidden: bool
    ) -> Tensor:
        total = half_to_float32(bias.new_zeros(pairs.num_nodes, bias.numel()))
        saved, chunks = [], pairs.chunks(large=save_hidden)
        for chunk in chunks:
            hidden = F.linear(edge_attr[chunk], weight, bias)
            pairs.scatter_to_endpoints(total, F.gelu(hidden.to(total.dtype)), chunk)
            if save_hidden:
                saved.append(hidden)
        ctx.save_for_backward(edge_attr, weight, bias, *saved)
        ctx.pairs, ctx.chunks = pairs, chunks
        ctx.autocast = autocast_state(total.device.type)
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        edge_attr, weight, bias, *saved = ctx.saved_tensors
        needs_edges, *trained, _, _ = ctx.needs_input_grad
        grad_edges = torch.empty_like(edge_attr) if needs_edges else None
        grad_weight = grad_bias = None
        with ctx.autocast():
            for number, chunk in enumerate(ctx.chunks):
                rows = edge_attr[chunk]
                hidden = saved[number] if saved else F.linear(rows, weight, bias)
                first, second = ctx.pairs.gather_endpoints(grad, chunk)
                upstream = first.addcmul_(second, ctx.pairs.mirrored(chunk, grad.dtype))
                flow = torch.ops.aten.gelu_backward(upstream, hidden.to(grad.dtype))
                flow = flow.to(hidden.dtype)
                if any(trained):
                    grad_weight = add_product(grad_weight, flow.t(), rows)
                    grad_bias = add_to(grad_bias, flow.sum(0))
                if grad_edges is not None:
                    grad_edges[chunk] = flow @ weight
        return grad_edges, grad_weight, grad_bias, None, None


@full_precision
def pair_standardize(norm: nn.BatchNorm1d, values: Tensor, pairs: Pairs) -> Tensor:
    r"""Batch normalisation over all B² directed edges, from the M pairs, without the affine map.

    .. math:: \hat v = (v - \mu) / \sqrt{\sigma^2 + \epsilon}

    Statistics and running updates equal those of `norm` on all edges: off-diagonal pairs count
    twice. In evaluation mode the running statistics are used. The affine map can be folded into
    the linear map that follows.

    Shapes: [M, D] → [M, D].
    """
    assert norm.running_mean is not None
    assert norm.running_var is not None
    assert norm.num_batches_tracked is not None
    assert norm.momentum is not None
    if not norm.training:
        return (values - norm.running_mean) * torch.rsqrt(norm.running_var + norm.eps)
    standardize = _standardize if torch.compiler.is_compiling() else _Standardize.apply
    standardized, mean, variance = standardize(values, pairs, norm.eps)
    with torch.no_grad():
        count = pairs.num_nodes**2
        norm.num_batches_tracked.add_(1)
        norm.running_mean.lerp_(mean.to(norm.running_mean), norm.momentum)
        unbiased = variance * (count / (count - 1))
        norm.running_var.lerp_(unbiased.to(norm.running_var), norm.momentum)
    return standardized


def _standardize(values: Tensor, pairs: Pairs, eps: float) -> tuple[Tensor, Tensor, Tensor]:
    """v̂, μ and σ², by plain autograd."""
    share = pairs.weight.to(values.dtype) / pairs.num_nodes**2
    mean = share @ values
    centred = values - mean
    variance = share @ centred.square()
    return centred * torch.rsqrt(variance + eps), mean, variance


class _Standardize(torch.autograd.Function):
    """Compute v̂, μ and σ²; save v̂, which the following linear map saves anyway."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, pairs: Pairs, eps: float) -> tuple[Tensor, ...]:
        share = pairs.weight.to(values.dtype) / pairs.num_nodes**2
        mean = pairs.sum_over_parts(share @ values)
        centred = values - mean
        variance = None
        for chunk in pairs.chunks():
            variance = add_to(variance, share[chunk] @ centred[chunk].square())
        assert variance is not None
        variance = pairs.sum_over_parts(variance)
        scale = torch.rsqrt(variance + eps)
        standardized = centred.mul_(scale)
        ctx.save_for_backward(standardized, share, scale)
        ctx.pairs = pairs
        ctx.mark_non_differentiable(mean, variance)
        return standardized, mean, variance

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor, *_: Tensor) -> tuple[Tensor, None, None]:
        r"""∂v = s (g - w/B² (Σ g + v̂ Σ g v̂)), s the scale."""
        standardized, share, scale = ctx.saved_tensors
        along = None
        for chunk in ctx.pairs.chunks():
            along = add_to(along, (grad[chunk] * standardized[chunk]).sum(0))
        assert along is not None
        along, total = ctx.pairs.sum_over_parts(torch.stack([along, grad.sum(0)]))
        result = torch.empty_like(grad)
        for chunk in ctx.pairs.chunks():
            mean_part = torch.addcmul(total, standardized[chunk], along)
            torch.addcmul(
                grad[chunk], mean_part, share[chunk].unsqueeze(1), value=-1, out=result[chunk]
            )
        return result.mul_(scale), None, None


@full_precision
def pair_spread(values: Tensor, pairs: Pairs) -> Tensor:
    r"""Deviation of pair values from the mean over each node's partners.

    .. math:: \sqrt{\textstyle\sum_{ij} \lVert v_{ij} - \mathrm{mean}_j \, v_{ij} \rVert^2}

    over all B² ordered pairs. If all values are equal, the gradient is 0.

    Shapes: [M, D] → scalar.
    """
    return (_spread if torch.compiler.is_compiling() else _Spread.apply)(values, pairs)


def _spread(values: Tensor, pairs: Pairs) -> Tensor:
    """`pair_spread` by plain autograd; deviations from the means sum to 0, so these need none."""
    mean = values.new_zeros(pairs.num_nodes, values.size(1))
    pairs.scatter_to_endpoints(mean, values.detach())
    first, second = pairs.gather_endpoints(mean / pairs.num_nodes)
    mirrored = pairs.mirrored(EVERY, values.dtype)
    # Unlike that of a root, the gradient of a norm at 0 is 0.
    return torch.linalg.vector_norm(torch.stack([values - first, (values - second) * mirrored]))


class _Spread(torch.autograd.Function):
    """`pair_spread`; saves the values and the node means."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, pairs: Pairs) -> Tensor:
        mean = values.new_zeros(pairs.num_nodes, values.size(1))
        for chunk in pairs.chunks():
            pairs.scatter_to_endpoints(mean, values[chunk], chunk)
        mean = pairs.sum_over_parts(mean) / pairs.num_nodes
        total = values.new_zeros(())
        for chunk in pairs.chunks():
            first, second = pairs.gather_endpoints(mean, chunk)
            total += first.sub_(values[chunk]).square_().sum()
            second.sub_(values[chunk]).mul_(pairs.mirrored(chunk, values.dtype))
            total += second.square_().sum()
        spread = pairs.sum_over_parts(total).sqrt()
        ctx.save_for_backward(values, mean, spread)
        ctx.pairs = pairs
        return spread

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        """Treat the means as constants: deviations from them sum to 0."""
        values, mean, spread = ctx.saved_tensors
        grad_values = torch.empty_like(values)
        # Every process uses the same spread; the gradients of all of them reach these values.
        grad = ctx.pairs.sum_over_parts(grad)
        factor = torch.where(spread > 0, grad / spread, 0)
        for chunk in ctx.pairs.chunks():
            first, second = ctx.pairs.gather_endpoints(mean, chunk)
            deviation = torch.sub(values[chunk], first)
            second.neg_().add_(values[chunk])
            deviation.addcmul_(second, ctx.pairs.mirrored(chunk, values.dtype))
            torch.mul(deviation, factor, out=grad_values[chunk])
        return grad_values, None
