"""Device, precision and logger of a run, through Lightning Fabric."""

import os

import torch
from lightning_fabric import Fabric
from lightning_fabric.loggers import TensorBoardLogger

from gcahng.config import ExperimentConfig
from gcahng.runs.folder import RunFolder


def use_deterministic_algorithms() -> None:
    """Let torch choose deterministic algorithms; it warns of an operation that has none."""
    # cuBLAS reads this when the first GPU context is made.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.backends.cudnn.benchmark = False


def build_fabric(config: ExperimentConfig, folder: RunFolder) -> Fabric:
    """Set up device, precision and logger as configured.

    Raises:
        ValueError: If the machine does not have what is asked for, or if that is more than one
            process: the batch graph spans one.
    """
    section = config.fabric
    if section.deterministic:
        use_deterministic_algorithms()
    logger = TensorBoardLogger(folder.path, name=folder.tensorboard.name, version="")
    asked = len(section.devices) if isinstance(section.devices, list) else 1
    try:
        fabric = Fabric(
            accelerator=section.accelerator,
            devices=section.devices if asked == 1 else asked,
            num_nodes=section.num_nodes,
            strategy=section.strategy,
            precision=section.precision,
            loggers=logger,
        )
    except (ImportError, RuntimeError, TypeError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ValueError(
            f"fabric: accelerator {section.accelerator!r} with devices {section.devices!r} and "
            f"strategy {section.strategy!r} does not work on this machine: {reason}"
        ) from error
    processes = max(fabric.world_size, int(os.environ.get("WORLD_SIZE", "1")))
    if processes > 1:
        raise ValueError(
            f"{processes} processes were asked for (fabric.devices, fabric.num_nodes or torchrun), "
            "but the batch graph spans one process only: set fabric.devices=1 and "
            "fabric.num_nodes=1"
        )
    return fabric
