"""Read weights from files, and put them into a module whole or not at all."""

import logging
import pickle
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

LOGGER = logging.getLogger("gcahng")
# Under which key other programs keep the weights, when not at the top.
NESTED = ("state_dict", "model_state_dict", "model")
SHOWN_KEYS = 4


def read_torch(path: str | Path) -> Any:
    """Read a file of `torch.save`, tensors on the CPU, without running any code in it.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is damaged or holds more than weights.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise FileNotFoundError(f"no checkpoint at '{path}'")
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, ValueError, KeyError, OSError, pickle.UnpicklingError) as error:
        raise ValueError(
            f"'{path}' cannot be read as a checkpoint: it is damaged, cut off or holds more than "
            "weights; another copy, or another one of the same run, may be whole"
        ) from error


def read_weights(path: str | Path) -> dict[str, Tensor]:
    """Read a state dict: a `.safetensors` file, or one of `torch.save`, also one level down.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is damaged, holds more than weights or is no state dict.
    """
    path = Path(path).expanduser()
    if path.suffix == ".safetensors" and path.is_file():
        try:
            return load_file(path)
        except SafetensorError as error:
            raise ValueError(f"'{path}' cannot be read as safetensors: {error}") from error
    found = read_torch(path)
    for key in NESTED:
        if isinstance(found, Mapping) and isinstance(found.get(key), Mapping):
            found = found[key]
    if not isinstance(found, Mapping) or not all(isinstance(v, Tensor) for v in found.values()):
        raise ValueError(f"'{path}' is no state dict: expected names with a tensor for each")
    return dict(found)


def load_strictly(
    module: nn.Module, state: Mapping[str, Tensor], path: str | Path, what: str
) -> list[str]:
    """Fill every parameter and buffer of `module` from `state`.

    Counters of BatchNorm, which files of early PyTorch lack and nothing here reads, may be missing.

    Args:
        module: What to fill; unchanged if anything is amiss.
        state: Names and values.
        path: Where they come from, for the message.
        what: What is being filled, for the message.

    Returns:
        The keys of `state` that the module has no place for.

    Raises:
        ValueError: If a key is missing or of another shape.
    """
    wanted = module.state_dict()
    counters = {k: v for k, v in wanted.items() if k.endswith("num_batches_tracked")}
    given, state = set(state), {**counters, **state}
    missing = [key for key in wanted if key not in state]
    if missing:
        raise ValueError(
            f"'{path}' does not hold the weights of {what}: {listed(missing)} missing of "
            f"{len(wanted)} keys"
        )
    for key, value in wanted.items():
        if state[key].shape != value.shape:
            raise ValueError(
                f"'{path}' does not fit {what}: '{key}' has shape {tuple(state[key].shape)}, "
                f"expected {tuple(value.shape)}"
            )
    module.load_state_dict({key: state[key] for key in wanted})
    return [key for key in state if key in given and key not in wanted]


def log_unused(path: str | Path, keys: Collection[str]) -> None:
    """Name in one log line the keys of a file that nothing uses."""
    if keys:
        LOGGER.warning("%s: not used: %s", path, ", ".join(keys))


def listed(keys: Collection[str]) -> str:
    """The first of some keys, quoted, and how many more there are."""
    shown = ", ".join(f"'{key}'" for key in list(keys)[:SHOWN_KEYS])
    more = len(keys) - SHOWN_KEYS
    return f"{shown} and {more} more" if more > 0 else shown
