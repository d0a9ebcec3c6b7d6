"""Several processes that train on one batch graph: what is whose, and what they exchange.

Each process r computes a share L_r of the loss, L = Σ_r L_r: a term that all compute alike enters
as 1/W of itself, a term that is split enters as the process's own part. All exchanges here are
differentiable, and the backward pass of each is its transpose. Therefore the gradient on a process
is that of the whole L with respect to its own inputs, and the gradients of parameters are summed
over the processes.

A group of processes is always an argument: without one, a process is alone and exchanges nothing,
whatever torch.distributed has joined for another purpose.
"""

from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch import distributed as dist
from torch.autograd.function import once_differentiable

# Processes that train together; None: this process is alone.
Group: TypeAlias = "dist.ProcessGroup | None"


def all_processes() -> Group:
    """Return the group of all processes that torch.distributed has joined; None without others."""
    if dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1:
        return dist.group.WORLD
    return None


def world_size(group: Group) -> int:
    """W, the number of processes in a group; 1 for None."""
    return 1 if group is None else group.size()


def rank(group: Group) -> int:
    """The number of this process in a group, from 0."""
    return 0 if group is None else group.rank()


def bounds(total: int, parts: int) -> list[int]:
    """Split `total` rows into contiguous parts whose sizes differ by at most 1.

    Example:
        >>> bounds(81, parts=2)
        [0, 41, 81]
    """
    small, larger = divmod(total, parts)
    return [part * small + min(part, larger) for part in range(parts + 1)]


def own_part(total: int, group: Group) -> slice:
    """The rows of `total` that belong to this process.

    Example:
        >>> own_part(81, group=None)
        slice(0, 81, None)
    """
    edges = bounds(total, world_size(group))
    return slice(edges[rank(group)], edges[rank(group) + 1])


def sum_over_processes(value: Tensor, group: Group) -> Tensor:
    """Sum a tensor of the same shape over all processes, with gradient."""
    return value if group is None else _Sum.apply(value, group)


def gather_rows(rows: Tensor, total: int, group: Group) -> Tensor:
    """Collect the parts [n, …] of all processes to [total, …], in order, with gradient."""
    if group is None:
        return rows
    # Parts may differ in size, which gathering in gloo does not support: sum with zeros.
    own, others = own_part(total, group), rows.shape[1:]
    before, after = rows.new_zeros(own.start, *others), rows.new_zeros(total - own.stop, *others)
    return sum_over_processes(torch.cat([before, rows, after]), group)


def exchange_rows(
    rows: Tensor, chosen: Tensor, sent: Sequence[int], received: Sequence[int], group: Group
) -> Tensor:
    """Send rows to other processes and receive theirs, with gradient.

    Args:
        rows: [m, D].
        chosen: Indices of the rows to send, process by process; a row may go to several.
        sent: Number of rows for each process.
        received: Number of rows from each process.
        group: The processes.

    Returns:
        [Σ received, D], ordered by sender.
    """
    return _AllToAll.apply(rows.index_select(0, chosen), list(sent), list(received), group)


def sum_gradients(parameters: Iterable[nn.Parameter], group: Group) -> None:
    """Replace every gradient by its sum over the processes; one that is None on all stays None."""
    if group is None:
        return
    wanted = [parameter for parameter in parameters if parameter.requires_grad]
    if not wanted:
        return
    # On the CPU: a GPU would make the host wait.
    present = any_process(*(parameter.grad is not None for parameter in wanted), group=group)
    chosen = [p for p, there in zip(wanted, present, strict=True) if there]
    by_type: dict[torch.dtype, list[nn.Parameter]] = {}
    for parameter in chosen:
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
        by_type.setdefault(parameter.dtype, []).append(parameter)
    for alike in by_type.values():
        grads = [p.grad for p in alike if p.grad is not None]
        flat = _all_reduce(torch.cat([grad.flatten() for grad in grads]), group)
        for grad, part in zip(grads, flat.split([g.numel() for g in grads]), strict=True):
            grad.copy_(part.view_as(grad))


@torch.no_grad()
def copy_from_first(modules: Iterable[nn.Module], group: Group) -> None:
    """Give the networks of all processes the parameters and buffers of process 0."""
    if group is None:
        return
    for module in modules:
        for value in (*module.parameters(), *module.buffers()):
            whole = value.detach().contiguous()
            dist.broadcast(whole, dist.get_global_rank(group, 0), group)
            value.copy_(whole)


def from_first(value: Any, group: Group) -> Any:
    """Return what process 0 passes; what the others pass is ignored."""
    if group is None:
        return value
    box = [value]
    dist.broadcast_object_list(box, dist.get_global_rank(group, 0), group)
    return box[0]


def from_all(value: Any, group: Group) -> list[Any]:
    """Return what every process passes, in their order."""
    box = [value] * world_size(group)
    if group is not None:
        dist.all_gather_object(box, value, group)
    return box


def wait_for_first(group: Group) -> None:
    """Wait until process 0 has got here, for instance has written a file."""
    from_first(None, group)


def any_process(*flags: bool, group: Group) -> list[bool]:
    """Return for each flag whether it is true on any process."""
    if group is None:
        return list(flags)
    box = torch.tensor(flags, dtype=torch.uint8)
    dist.all_reduce(box, dist.ReduceOp.MAX, group)
    return [bool(flag) for flag in box]


def leave() -> None:
    """End the exchange at the end of a training."""
    if dist.is_available() and dist.is_initialized():
        dist.destroy_process_group()


def _all_reduce(value: Tensor, group: Group) -> Tensor:
    """Sum a contiguous tensor in place."""
    dist.all_reduce(value, group=group)
    return value


class _Sum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, value: Tensor, group: Group) -> Tensor:
        ctx.group = group
        return _all_reduce(value.clone(memory_format=torch.contiguous_format), group)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        return _Sum.apply(grad, ctx.group), None


class _AllToAll(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, rows: Tensor, sent: list[int], received: list[int], group: Group
    ) -> Tensor:
        ctx.back = received, sent, group
        result = rows.new_empty(sum(received), *rows.shape[1:])
        dist.all_to_all_single(result, rows, received, sent, group=group)
        return result

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, None]:
        return _AllToAll.apply(grad.contiguous(), *ctx.back), None, None, None
