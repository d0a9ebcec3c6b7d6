"""Read weights from files; a file that does not fit leaves the module unchanged."""

import logging
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from gcahng.files import refuse_address

LOGGER = logging.getLogger("gcahng")
# Keys under which other programs nest the state dict.
NESTED = ("state_dict", "model_state_dict", "model", "teacher", "embedder")
# What wrappers put before every key: DataParallel, torch.compile, training frameworks, DINO, ours.
PREFIXES = ("module.", "_orig_mod.", "model.", "backbone.")
SHOWN_KEYS = 4


def read_torch(path: str | Path) -> Any:
    """Read a file of `torch.save` onto the CPU, with `weights_only=True` (runs no code).

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is damaged or holds more than weights.
    """
    refuse_address(path)
    path = Path(path).expanduser()
    if not path.is_file():
        raise FileNotFoundError(
            f"no checkpoint at '{path}': name a run that is there, or train one"
        )
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    # Reading a damaged or foreign file raises many types, from IndexError to struct.error.
    except Exception as error:
        # "Unsupported global: GLOBAL argparse.Namespace was not an allowed global by default."
        if found := re.search(r"GLOBAL (\S+)", str(error)):
            raise ValueError(
                f"'{path}' holds more than weights, {found[1]}, which would run code when it is "
                "loaded: save model.state_dict() with torch.save, and use that file"
            ) from error
        raise ValueError(
            f"'{path}' cannot be read as a checkpoint: it is damaged, truncated or no file of "
            "weights; try another copy, or another checkpoint of the same run"
        ) from error


def read_weights(path: str | Path) -> dict[str, Tensor]:
    """Read a state dict from a `.safetensors` file or a file of `torch.save`.

    In the latter it may be nested under one of the keys of `NESTED`. Errors are as of `read_torch`.
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
        raise ValueError(f"'{path}' is not a state dict: expected a mapping from names to tensors")
    return dict(found)


def strip_prefixes(state: Mapping[str, Tensor], wanted: Collection[str]) -> dict[str, Tensor]:
    """Remove what wrappers put before the keys of a state dict, as far as it fits no key wanted.

    Keys without a prefix that others have are dropped with it.

    Example:
        >>> strip_prefixes({"module.backbone.a": 1, "module.head.b": 2}, ["a"])
        {'a': 1}
    """
    found = dict(state)
    while not any(key in wanted for key in found):
        prefix = next((p for p in PREFIXES if any(key.startswith(p) for key in found)), None)
        if prefix is None:
            break
        found = {k.removeprefix(prefix): v for k, v in found.items() if k.startswith(prefix)}
    return found


def load_strictly(
    module: nn.Module, state: Mapping[str, Tensor], path: str | Path, what: str
) -> list[str]:
    """Load every parameter and buffer of `module` from the state dict of a file.

    BatchNorm's `num_batches_tracked` may be missing: files of early PyTorch versions lack it, and
    it is not used here. `what` describes the module in errors, after which it is unchanged.

    Returns:
        The keys of `state` that the module does not have.

    Raises:
        ValueError: If a key is missing or a shape differs.
    """
    expected = module.state_dict()
    counters = {k: v for k, v in expected.items() if k.endswith("num_batches_tracked")}
    state = {**counters, **state}
    unused = [key for key in state if key not in expected]
    if missing := [key for key in expected if key not in state]:
        raise ValueError(
            f"'{path}' does not hold the weights of {what}: {listed(missing)} missing of "
            f"{len(expected)} keys{f'; the file has {listed(unused)}' if unused else ''}"
        )
    for key, value in expected.items():
        if state[key].shape != value.shape:
            raise ValueError(
                f"'{path}' does not fit {what}: '{key}' has shape {tuple(state[key].shape)}, "
                f"expected {tuple(value.shape)}"
            )
    module.load_state_dict({key: state[key] for key in expected})
    return unused


def log_unused(path: str | Path, keys: Collection[str]) -> None:
    """Log one warning that lists the unused keys of a file."""
    if keys:
        LOGGER.warning("%s: not used: %s", path, ", ".join(keys))


def listed(keys: Collection[str]) -> str:
    """Return the first keys, quoted, and the number of the others."""
    shown = ", ".join(f"'{key}'" for key in list(keys)[:SHOWN_KEYS])
    more = len(keys) - SHOWN_KEYS
    return f"{shown} and {more} more" if more > 0 else shown
