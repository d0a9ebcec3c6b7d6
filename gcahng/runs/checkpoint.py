"""Save the state of a training after an epoch, and restore it exactly."""

import random
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gcahng.files import atomic_write
from gcahng.models.artifact import LAYOUT
from gcahng.models.weights import read_torch


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write `state` atomically."""
    try:
        with atomic_write(path) as temporary:
            torch.save({"layout": LAYOUT, **state}, temporary)
    except OSError as error:
        raise OSError(f"{error}; then continue with --resume") from error


def load_checkpoint(path: str | Path) -> dict[str, Any]:
    """Read a checkpoint of this project, with its tensors on the CPU."""
    state = read_torch(path)
    if not (isinstance(state, dict) and {"config", "embedder", "epoch"} <= state.keys()):
        raise ValueError(
            f"'{path}' is not a checkpoint of gcahng (no 'config', 'embedder' and 'epoch' in it)"
        )
    if state.get("layout") != LAYOUT:
        raise ValueError(
            f"'{path}' was written by another version of gcahng (layout {state.get('layout')}, "
            f"expected {LAYOUT}): use that version, or train again"
        )
    return state


def random_states(device: torch.device) -> dict[str, Any]:
    """States of all random generators of a training on a device, as tensors and numbers."""
    name, keys, *rest = np.random.get_state(legacy=True)
    states: dict[str, Any] = {
        "python": random.getstate(),
        "numpy": (name, torch.from_numpy(np.asarray(keys, dtype=np.int64)), *rest),
        "torch": torch.get_rng_state(),
    }
    if device.type == "cuda":  # pragma: no cover (needs a GPU)
        # Other GPUs belong to other processes or are not used.
        states["cuda"] = [torch.cuda.get_rng_state(device)]
    return states


def restore_random_states(states: dict[str, Any], device: torch.device) -> None:
    """Restore what `random_states` returned; the device may be another one."""
    version, internal, gauss = states["python"]
    random.setstate((version, tuple(internal), gauss))
    name, keys, *rest = states["numpy"]
    np.random.set_state((name, keys.numpy().astype(np.uint32), *rest))
    torch.set_rng_state(states["torch"])
    if "cuda" in states and device.type == "cuda":  # pragma: no cover (needs a GPU)
        torch.cuda.set_rng_state(states["cuda"][0], device)
