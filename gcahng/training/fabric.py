"""Device, precision and processes of a run, through Lightning Fabric."""

import logging
import os
from collections.abc import Sequence
from typing import Any

import torch
from lightning_fabric import Fabric
from lightning_fabric.loggers import Logger
from lightning_fabric.plugins.environments import LightningEnvironment
from lightning_fabric.strategies import DDPStrategy

from gcahng.config import ExperimentConfig
from gcahng.config.experiment import differing_keys
from gcahng.config.sections import FabricConfig
from gcahng.jobs.process import launched_elsewhere, place
from gcahng.processes import Group, all_processes, from_all
from gcahng.reasons import first_line
from gcahng.runs.folder import RunFolder
from gcahng.training.loggers import build_loggers

# On GPUs, small decisions are exchanged on the CPU, so that they do not wait for the device.
BACKENDS = {"cpu": "gloo", "cuda": "cpu:gloo,cuda:nccl"}
# In what the processes of one training may differ: it decides neither what they compute nor when
# they wait for each other.
OF_A_MACHINE = {"output", "data.root", "data.workers", "fabric.devices", "fabric.threads"}


def build_fabric(config: ExperimentConfig, folder: RunFolder) -> Fabric:
    """Set up device, precision and logger as configured, and join the other processes."""
    section = config.fabric
    if section.deterministic:
        # cuBLAS reads this when the first GPU context is made.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        # torch warns of an operation that has no deterministic algorithm.
        torch.use_deterministic_algorithms(True, warn_only=True)
        torch.backends.cudnn.benchmark = False
    loggers = build_loggers(config, folder)
    found = place()
    devices, nodes = section.devices, 1 if found is None else found.nodes
    if found is not None and not (isinstance(devices, list) and len(devices) == found.local_size):
        devices = found.local_size
    fabric = make_fabric(section, devices, nodes, loggers)
    started = 1 if found is None else found.size
    if fabric.world_size != started:
        raise ValueError(
            f"fabric.devices: {fabric.world_size} processes were asked for, and {started} started: "
            "start the training with `gcahng train`, or with torchrun or srun without this setting"
        )
    if started > 1:
        logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
        fabric.launch()
    use_device(fabric.device)
    return fabric


def number_of_devices(section: FabricConfig) -> int:
    """How many processes the settings ask this one to start on this machine; 1: none."""
    if section.devices == 1 or place() is not None:
        return 1
    fabric = make_fabric(section, section.devices)
    if fabric.device.type == "cpu" and fabric.world_size > (os.cpu_count() or 1):
        raise ValueError(
            f"fabric.devices: {fabric.world_size} processes were asked for, but this machine has "
            f"{os.cpu_count()} cores"
        )
    return int(fabric.world_size)


def group_of(fabric: Fabric) -> Group:
    """Return the processes that a Fabric trains with, or None for one process."""
    return all_processes() if fabric.world_size > 1 else None


def use_device(device: torch.device) -> None:
    """Make a GPU the current one, which libraries use where none is named."""
    if device.type == "cuda":  # pragma: no cover (needs a GPU)
        torch.cuda.set_device(device)


def check_same_training(
    config: ExperimentConfig, folder: RunFolder, continues: bool, group: Group
) -> None:
    """Check that all processes were started for the same training; all raise, or none."""
    (first, *facts), *others = from_all((config, str(folder.path), continues), group)
    changed = {key for other, *_ in others for key in differing_keys(first, other)} - OF_A_MACHINE
    for index, name in enumerate(("--run", "--resume")):
        if any(other[index + 1] != facts[index] for other in others):
            changed.add(name)
    if changed:
        raise ValueError(
            f"the processes of this training differ in {', '.join(sorted(changed))}: start all of "
            "them with the same command, or each run by itself, without torchrun or srun"
        )


def make_fabric(
    section: FabricConfig,
    devices: int | str | list[int],
    nodes: int = 1,
    loggers: Sequence[Logger] = (),
) -> Fabric:
    """Create the Fabric of the settings for some devices."""
    settings: dict[str, Any] = {
        "accelerator": section.accelerator,
        "devices": devices,
        "num_nodes": nodes,
        "precision": section.precision,
        "loggers": list(loggers),
        "plugins": None if launched_elsewhere() else LightningEnvironment(),
    }
    try:
        made = Fabric(**settings)
        if made.world_size == 1:
            return made
        backend = BACKENDS.get(made.device.type)
        return Fabric(**settings, strategy=DDPStrategy(process_group_backend=backend))
    except (ImportError, RuntimeError, TypeError, ValueError) as error:
        raise ValueError(
            f"fabric: accelerator {section.accelerator!r} with devices {devices!r} does not work "
            f"on this machine: {first_line(error)}"
        ) from error
