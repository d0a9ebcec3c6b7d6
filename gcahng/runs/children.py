"""What a process that this one starts gets: a clean environment, and GPUs of its own."""

import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping

#: Environment variable with the GPUs that a process may use.
GPUS = "CUDA_VISIBLE_DEVICES"
# What torchrun, srun and mpirun tell each of the processes that they start together.
_LAUNCHER = re.compile(
    r"RANK|WORLD_SIZE|NODE_RANK|MASTER_(ADDR|PORT)|(LOCAL|GROUP|ROLE)_(RANK|WORLD_SIZE|NAME)"
    r"|(TORCHELASTIC|SLURM|OMPI|PMI|PMIX)_.*|JSM_NAMESPACE_.*"
)


def launcher_variables() -> list[str]:
    """Name the variables by which a launcher has told this process its place among several."""
    return [name for name in os.environ if _LAUNCHER.fullmatch(name)]


def child_environment(added: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment of a process to start: this one's, without a launcher's variables.

    A process that found them would take itself for one of several and join their training.

    Args:
        added: Further variables.

    Example:
        >>> from unittest import mock
        >>> with mock.patch.dict(os.environ, {"RANK": "1", "HOME": "/home"}, clear=True):
        ...     child_environment({"OMP_NUM_THREADS": "2"})
        {'HOME': '/home', 'OMP_NUM_THREADS': '2'}
    """
    dropped = launcher_variables()
    kept = {name: value for name, value in os.environ.items() if name not in dropped}
    return {**kept, **(added or {})}


def visible_gpus() -> list[str]:
    """Name the GPUs that this process may use, by the names of CUDA_VISIBLE_DEVICES."""
    import torch  # here, since not every process that starts others needs it

    count = torch.cuda.device_count()
    given = os.environ.get(GPUS)
    names = [str(number) for number in range(count)] if given is None else given.split(",")
    return [name.strip() for name in names[:count]]


def choose_gpus(count: int, taken: Iterable[str] = (), jobs: int = 1) -> dict[str, str]:
    """Choose GPUs for a process to start: those that the fewest others have.

    Args:
        count: How many it needs.
        taken: The GPUs of the processes that run, one entry for each process and GPU.
        jobs: How many processes each of several launched processes starts at a time; those on
            one machine begin with different GPUs.

    Returns:
        What to add to its environment; nothing on a machine without a choice.
    """
    names, used = visible_gpus(), Counter(taken)
    if len(names) <= count:
        return {}
    local = os.environ.get("SLURM_LOCALID") or os.environ.get("LOCAL_RANK") or "0"
    start = int(local) * jobs * count % len(names)
    in_turn = sorted(names[start:] + names[:start], key=used.__getitem__)
    return {GPUS: ",".join(in_turn[:count])}
