"""Wrapper of a user-defined layer, named `module.path:ClassName`."""

import inspect
from typing import Any

import torch
from torch import Tensor, nn

from gcahng.arguments import check_forward


class UserConv(nn.Module):
    """Give a user-defined layer the signature of ours, and check its output shapes.

    It has no dense path, since it may make edges asymmetric. `name` is what error messages call it.
    """

    def __init__(self, name: str, layer: nn.Module) -> None:
        super().__init__()
        self.name, self.layer = name, layer
        self.takes_labels = "y" in inspect.signature(layer.forward).parameters
        either = "forward(x, edge_index, edge_attr) or forward(x, edge_index, edge_attr, y)"
        labels = {"y": None} if self.takes_labels else {}
        check_forward(layer, f"layer {name!r} with {either}", None, None, None, **labels)

    def forward(
        self, x: Tensor, edge_index: Tensor, edge_attr: Tensor, y: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Run the layer; x and edge_attr keep their shapes."""
        args = {"y": y} if self.takes_labels else {}
        out = self.layer(x, edge_index, edge_attr, **args)
        expected = f"x {list(x.shape)} and edge_attr {list(edge_attr.shape)}"
        found = _described(out)
        if found != expected:
            raise ValueError(f"Expected layer {self.name!r} to return {expected} (got {found})")
        return out

    def __repr__(self) -> str:
        return f"{self.__class__.__name__}({self.name!r})"


def _described(out: Any) -> str:
    if isinstance(out, tuple | list) and len(out) == 2 and all(map(torch.is_tensor, out)):
        return f"x {list(out[0].shape)} and edge_attr {list(out[1].shape)}"
    return f"a {type(out).__name__}"
