"""One graph pass for both steps: what the metric step keeps for the generator's losses."""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from gcahng.graph.dense.pairs import Pairs
from gcahng.graph.precision import autocast

Parts = tuple[Tensor, Pairs | None, Tensor, Tensor | None]


class GraphPass:
    """A pass of the graph network whose backward pass is still to come; holds its activations.

    Args:
        coefficients: η as in `HardNegatives`, with gradient to the graph network's parameters.
        pairs: The pairs of the dense path, or None.
        draws: The scalars [P, P-1] that folded the candidates.
        node_ce: J_gce with its weight and with gradient to the graph network's parameters; None
            without that term.
    """

    def __init__(
        self, coefficients: Tensor, pairs: Pairs | None, draws: Tensor, node_ce: Tensor | None
    ) -> None:
        self._parts: Parts | None = (coefficients, pairs, draws, node_ce)

    def take(self) -> Parts:
        """Return the arguments and let go of them, so that backward can free the activations.

        Raises:
            ValueError: If they have been taken before.
        """
        parts, self._parts = self._parts, None
        if parts is None:
            raise ValueError(
                "This graph pass is used up: generator_losses takes that of the latest forward once"
            )
        return parts


def pass_gradient_on(loss: Tensor, nodes: Tensor, slots: Tensor) -> Tensor:
    """Return the value of a loss, with its gradient for `nodes` as gradient for `slots`.

    The gradient is computed here, and none for parameters. The graph of the loss is kept, so that
    it can be differentiated for the parameters later.

    Args:
        loss: A scalar that depends on `nodes`.
        nodes: A leaf with the values of `slots`; one without gradient passes none on.
        slots: What the gradient goes to when the result is differentiated.

    Example:
        >>> weight, slots = torch.tensor(3.0, requires_grad=True), torch.ones(2, requires_grad=True)
        >>> nodes = slots.detach().requires_grad_()
        >>> loss = (weight * nodes).sum()
        >>> pass_gradient_on(loss, nodes, slots).backward()
        >>> slots.grad, weight.grad
        (tensor([3., 3.]), None)
    """
    if not nodes.requires_grad:
        return loss.detach()
    with autocast(loss.device.type, enabled=False):
        torch.autograd.backward(loss, inputs=[nodes], retain_graph=True)
    gradient, nodes.grad = nodes.grad, None
    assert gradient is not None
    return _KnownGradient.apply(slots, loss.detach(), gradient)


class _KnownGradient(torch.autograd.Function):
    """A scalar whose gradient is known."""

    @staticmethod
    def forward(ctx: Any, slots: Tensor, value: Tensor, gradient: Tensor) -> Tensor:
        ctx.save_for_backward(gradient)
        return value.clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        (gradient,) = ctx.saved_tensors
        return grad * gradient, None, None
