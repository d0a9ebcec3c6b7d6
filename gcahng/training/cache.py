"""Files of tensors that are costly to compute, kept with the data for other runs."""

import os
import warnings
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from gcahng.config import ExperimentConfig
from gcahng.data import ClassSubset, FileDataset, ImageDataset
from gcahng.data.datasets.base import shortest_side
from gcahng.files import atomic_write
from gcahng.jobs.claim import file_lock
from gcahng.models.backbones import ORIGINS
from gcahng.models.source_code import source_of

Kept = tuple[dict[str, Tensor], dict[str, str]]


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock of a file, so that others wait for what this process computes."""
    with ExitStack() as stack:
        # Without a lock two processes would compute the same; `keep` says if it cannot write.
        with suppress(OSError):
            stack.enter_context(file_lock(path.with_suffix(".lock"), wait=True))
        yield


def keep(path: Path, tensors: dict[str, Tensor], what: str, **facts: str) -> None:
    """Write tensors for the next run; a full disk or a read-only folder is a warning.

    Args:
        path: The file.
        tensors: By name.
        what: What they are, for the warning.
        **facts: Kept with them.
    """
    try:
        with atomic_write(path) as temporary:
            save_file(tensors, temporary, facts)
    except (OSError, SafetensorError) as error:
        warnings.warn(f"{what} could not be kept in '{path.parent}': {error}", stacklevel=3)


def kept(path: Path) -> Kept | None:
    """Read tensors and facts that `keep` wrote; None if there are none.

    Raises:
        OSError, SafetensorError: If the file is damaged.
    """
    if not path.exists():
        return None
    with safe_open(path, "pt") as stored:
        facts = stored.metadata() or {}
    return load_file(path), facts


def weights_of(module: nn.Module) -> Mapping[str, Tensor]:
    """The parameters and buffers of a network, on the CPU."""
    return {name: value.detach().cpu() for name, value in module.state_dict().items()}


def computed_by(device: torch.device) -> tuple[str, str]:
    """What rounds a result in its own way: torch's version and the kind of processor."""
    return torch.__version__, _processor(device)


def _processor(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def settings_of(config: ExperimentConfig) -> tuple[Any, ...]:
    """The settings of an experiment that decide what its backbone makes of the data."""
    backbone, data = config.embedder.backbone, config.data
    args = {key: value for key, value in backbone.args.items() if key not in ORIGINS}
    return backbone.name, args, data.name, data.args


def identity_of(dataset: ImageDataset) -> Iterator[bytes]:
    """What identifies the images of a data set, in order."""
    chosen, shortest = np.arange(len(dataset)), shortest_side(dataset.transform)
    while isinstance(dataset, ClassSubset):
        chosen, dataset = dataset.indices.numpy()[chosen], dataset.dataset
    yield source_of(dataset)
    for index in chosen.tolist():
        if isinstance(dataset, FileDataset):
            yield _file_identity(dataset, index)
        else:
            image = np.asarray(dataset.load_for(index, shortest))
            yield f"{image.shape} {image.dtype}".encode() + image.tobytes()


def _file_identity(dataset: FileDataset, index: int) -> bytes:
    path = dataset.paths[index]
    try:
        found = os.stat(path)
    except OSError:
        dataset.load(index)  # says in one sentence what is wrong
        raise
    with suppress(ValueError):
        # Relative, so that a folder of data sets may move.
        path = str(Path(path).relative_to(dataset.folder))
    facts = (found.st_size, found.st_mtime_ns, dataset.boxes[index])
    return os.fsencode(path) + repr(facts).encode()
