"""The place of this process among those that a launcher has started."""

import os
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Place:
    """The place of this process among those that a launcher has started."""

    number: int
    size: int
    local_size: int

    @property
    def nodes(self) -> int:
        """Number of machines."""
        return self.size // self.local_size


def place(environment: Mapping[str, str] | None = None) -> Place | None:
    """Return the place of this process, or None if nothing has launched several.

    Example:
        >>> place({"RANK": "3", "WORLD_SIZE": "8", "LOCAL_WORLD_SIZE": "4"})
        Place(number=3, size=8, local_size=4)
        >>> place({"SLURM_PROCID": "0", "SLURM_STEP_NUM_TASKS": "1"}) is None
        True
    """
    env = os.environ if environment is None else environment
    size = int(env.get("WORLD_SIZE", "1"))
    if "RANK" in env and size > 1:
        return Place(int(env["RANK"]), size, int(env.get("LOCAL_WORLD_SIZE", size)))
    size = int(env.get("SLURM_STEP_NUM_TASKS", "1"))
    if "SLURM_PROCID" in env and size > 1:
        nodes = int(env.get("SLURM_STEP_NUM_NODES", "1"))
        return Place(int(env["SLURM_PROCID"]), size, size // nodes)
    return None


def launched_elsewhere() -> bool:
    """Whether torchrun or srun has started several processes, and not `train_together`."""
    by_torchrun = "TORCHELASTIC_RUN_ID" in os.environ
    return place() is not None and (by_torchrun or "RANK" not in os.environ)


def is_first() -> bool:
    """Whether this process writes files and reports: the only one, or the first of several."""
    found = place()
    return found is None or found.number == 0
