"""Building blocks and argument checks shared by the layers."""

from collections.abc import Iterable, Sequence

from torch import nn


def feed_forward(channels: int, inner_norm: bool = False) -> nn.Sequential:
    """Linear(C, 4C) → GELU → LayerNorm (if `inner_norm`) → Linear(4C, C)."""
    hidden = 4 * channels
    norm = [nn.LayerNorm(hidden)] if inner_norm else []
    first, last = nn.Linear(channels, hidden), nn.Linear(hidden, channels)
    return nn.Sequential(first, nn.GELU(), *norm, last)


def reset_maps(layer: nn.Module, attention: Iterable[nn.Linear] = ()) -> None:
    """Reset to Xavier weights and zero biases in `attention`, to PyTorch's defaults elsewhere."""
    for module in layer.modules():
        if isinstance(module, nn.Linear | nn.LayerNorm):
            module.reset_parameters()
    for linear in attention:
        nn.init.xavier_uniform_(linear.weight)
        nn.init.zeros_(linear.bias)


def check_divisible(name: str, width: int, heads: int) -> None:
    """Raise a ValueError unless `heads` divides `width`, the argument called `name`."""
    if heads < 1:
        raise ValueError(f"Expected at least one head (got {heads})")
    if width % heads:
        raise ValueError(f"Expected '{name}' divisible by {heads} heads (got {width})")


def check_choice(name: str, value: str, choices: Sequence[str]) -> None:
    """Raise a ValueError unless `value`, the argument called `name`, is one of `choices`."""
    if value not in choices:
        listed = f"{', '.join(choices[:-1])} or {choices[-1]}"
        raise ValueError(f"Expected '{name}' as {listed} (got {value!r})")
