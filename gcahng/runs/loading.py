"""Open a trained run."""

from dataclasses import dataclass
from pathlib import Path

import torch
from lightning_fabric import Fabric
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from gcahng.builders.networks import build_embedder, build_generator
from gcahng.config import ExperimentConfig, parse_config
from gcahng.generators import NegativeGenerator
from gcahng.models import Embedder
from gcahng.runs.checkpoint import load_checkpoint
from gcahng.runs.folder import RunFolder


@dataclass(frozen=True)
class LoadedRun:
    """A trained embedder and what it was trained by.

    Attributes:
        path: The checkpoint it was read from.
        config: The resolved configuration.
        embedder: In eval mode, on the device that the configuration asks for if it is there.
        epoch: After which epoch; None for a shared or an imported model.
    """

    path: Path
    config: ExperimentConfig
    embedder: Embedder
    epoch: int | None


def load_run(path: str | Path, *, last: bool = False) -> LoadedRun:
    """Open a run folder or a checkpoint file.

    Args:
        path: A run folder, of which the best epoch is opened, a checkpoint, or a shared
            `model.safetensors` with its `config.json` beside it.
        last: Open the last epoch of a run folder instead.

    Raises:
        FileNotFoundError: If there is nothing at `path`, or no checkpoint in the folder.
        ValueError: If the checkpoint is damaged or foreign.
    """
    path = checkpoint_path(path, last=last)
    if path.suffix == ".safetensors":
        return _load_model(path)
    state = load_checkpoint(path)
    return _loaded(path, state["config"], state["embedder"], state["epoch"])


def load_generator(run: LoadedRun) -> NegativeGenerator | None:
    """The generator of hard negatives that a run was trained with, in evaluation mode.

    Returns:
        None for a run without one.

    Raises:
        ValueError: If the run is a shared model, which is the embedder alone, or the weights do not
            fit.
    """
    if run.config.generator is None:
        return None
    if run.path.suffix == ".safetensors":
        raise ValueError(f"'{run.path}' is an embedder alone: name a run folder or a checkpoint")
    state = load_checkpoint(run.path)
    generator = build_generator(run.config, state["num_classes"])
    assert generator is not None
    try:
        generator.load_state_dict(state["generator"])
    except RuntimeError as error:
        raise ValueError(
            f"'{run.path}' does not fit the generator of its configuration: {error}"
        ) from error
    return generator.to(run_device(run.config)).eval()


def checkpoint_path(path: str | Path, *, last: bool = False) -> Path:
    """The checkpoint meant by a run folder (its best or its last) or by the file itself.

    Raises:
        FileNotFoundError: If a folder holds no such checkpoint.
    """
    path = Path(path)
    if not path.is_dir():
        return path
    folder = RunFolder(path)
    found = folder.last if last else folder.best
    if not found.is_file():
        raise FileNotFoundError(f"no run in '{folder.path}': it has no {found.name}")
    return found


def _load_model(path: Path) -> LoadedRun:
    settings = path.with_name("config.json")
    for file in (path, settings):
        if not file.is_file():
            raise FileNotFoundError(f"no shared model at '{path}': '{file}' is missing")
    try:
        weights = load_file(path)
    except SafetensorError as error:
        raise ValueError(f"'{path}' cannot be read as safetensors: {error}") from error
    return _loaded(path, settings.read_text(encoding="utf-8"), weights, None)


def _loaded(path: Path, config: str, weights: dict[str, Tensor], epoch: int | None) -> LoadedRun:
    parsed = parse_config(config, str(path))
    embedder = build_embedder(parsed, pretrained=False)
    try:
        embedder.load_state_dict(weights)
    except RuntimeError as error:
        raise ValueError(
            f"'{path}' does not fit the embedder of its configuration: {error}"
        ) from error
    return LoadedRun(path, parsed, embedder.to(run_device(parsed)).eval(), epoch)


def run_device(config: ExperimentConfig) -> torch.device:
    """The device a configuration asks for, or the CPU where there is none such."""
    try:
        return Fabric(accelerator=config.fabric.accelerator, devices=1).device
    except (RuntimeError, TypeError, ValueError):
        return torch.device("cpu")
