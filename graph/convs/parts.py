"""What several layers are made of, and what they check alike."""

from collections.abc import Iterable, Sequence

from torch import nn


def feed_forward(channels: int, inner_norm: bool = False) -> nn.Sequential:
    """Two linear maps with a GELU between, four times as wide there; `inner_norm` adds a norm."""
    hidden = 4 * channels
    norm = [nn.LayerNorm(hidden)] if inner_norm else []
    first, last = nn.Linear(channels, hidden), nn.Linear(hidden, channels)
    return nn.Sequential(first, nn.GELU(), *norm, last)


def reset_maps(layer: nn.Module, attention: Iterable[nn.Linear] = ()) -> None:
    """Xavier weights and zero biases for the maps of `attention`, PyTorch's defaults elsewhere."""
    for module in layer.modules():
        if isinstance(module, nn.Linear | nn.LayerNorm):
            module.reset_parameters()
    for linear in attention:
        nn.init.xavier_uniform_(linear.weight)
        nn.init.zeros_(linear.bias)


def check_divisible(name: str, width: int, heads: int) -> None:
    """Raise a ValueError unless `heads` split the width called `name`."""
    if width % heads:
        raise ValueError(f"Expected '{name}' divisible by {heads} heads (got {width})")


def check_choice(name: str, value: str, choices: Sequence[str]) -> None:
    """Raise a ValueError unless `value` is among the choices for the argument `name`."""
    if value not in choices:
        listed = f"{', '.join(choices[:-1])} or {choices[-1]}"
        raise ValueError(f"Expected '{name}' as {listed} (got {value!r})")
