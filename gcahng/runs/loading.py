"""Open a trained run."""

from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from gcahng.builders.images import open_plain
from gcahng.builders.networks import build_embedder, build_generator
from gcahng.config import ExperimentConfig, parse_config, whitened
from gcahng.data import ImageDataset
from gcahng.evaluation.evaluate import Progress, embed
from gcahng.generators import NegativeGenerator
from gcahng.models import Embedder, WhiteningHead
from gcahng.models.torch_state import usual_torch_state
from gcahng.models.weights import listed, load_strictly
from gcahng.registry import names_class
from gcahng.runs.checkpoint import load_checkpoint
from gcahng.runs.folder import RunFolder
from gcahng.runs.shared import WEIGHTS, read_shared_model

# The sections of an experiment that can name classes of a user.
SECTIONS = ("data", "embedder", "loss", "generator")


@dataclass(frozen=True)
class LoadedRun:
    """A trained embedder and its settings.

    Attributes:
        path: The checkpoint that it was read from.
        config: The resolved settings.
        embedder: In evaluation mode, on the configured device if this machine has it.
        epoch: After which epoch; None for a shared or an imported model.
        num_classes: How many classes it was trained on; None if the file does not say.
        generator_state: Weights of its negative generator; None if the file has none.
        trust: Whether classes that the settings name as `module.path:ClassName` may be imported.
    """

    path: Path
    config: ExperimentConfig
    embedder: Embedder
    epoch: int | None
    num_classes: int | None = field(default=None, repr=False)
    generator_state: Mapping[str, Tensor] | None = field(default=None, repr=False)
    trust: bool = False


@dataclass(frozen=True)
class EvaluatedRun:
    """A trained embedder with a data set that it has embedded.

    Attributes:
        run: The embedder.
        dataset: The images.
        embeddings: [N, D], one row per image, on the embedder's device.
    """

    run: LoadedRun
    dataset: ImageDataset
    embeddings: Tensor


@usual_torch_state()
def load_run(
    path: str | Path, *, last: bool = False, trust: bool = False, finished: bool = True
) -> LoadedRun:
    """Open a run folder or a checkpoint file.

    Args:
        path: A run folder, of which the best epoch is opened, a checkpoint, or a shared
            `model.safetensors` with its `config.json` beside it.
        last: Open the last epoch of a run folder instead.
        trust: Allow the import of classes that the settings name, which runs their code; only for
            runs whose origin you know.
        finished: Whether to take the last layer that `embedder.finish` has put in place of the
            trained one, which the run's negative generator knows.

    Raises:
        FileNotFoundError: If there is nothing at `path`, or no checkpoint in the folder.
        ValueError: If the checkpoint is damaged or from another program, or its settings name a
            backbone or a data set to import and it is not trusted.

    Example:
        >>> run = load_run("runs/digits-seed0", last=True)
        >>> run.epoch, run.config.data.name
        (3, 'digits')
        >>> images = torch.rand(2, 1, 8, 8)
        >>> run.embedder(images).shape
        torch.Size([2, 8])
    """
    path = checkpoint_path(path, last=last)
    if path.suffix == ".safetensors":
        config, weights = read_shared_model(path)
        return _loaded(path, config, {"embedder": weights, "epoch": None}, trust)
    state = load_checkpoint(path)
    if not finished:
        state.pop("finish", None)
    return _loaded(path, parse_config(state["config"], str(path)), state, trust)


@usual_torch_state()
def embed_split(
    run: LoadedRun, split: str = "test", *, progress: Progress | None = None
) -> EvaluatedRun:
    """Embed one split of a run's data, without augmentation.

    Args:
        run: The embedder and its settings.
        split: `train`, `val`, `test` or another split of the data set.
        progress: Called with the number of images embedded, and of all images.

    Raises:
        ValueError: If there is no such split.
    """
    dataset = open_plain(run.config, split)
    workers = run.config.data.workers
    return EvaluatedRun(
        run, dataset, embed(run.embedder, dataset, workers=workers, progress=progress)
    )


@usual_torch_state()
def load_generator(run: LoadedRun) -> NegativeGenerator | None:
    """Build the negative generator that a run was trained with, in evaluation mode.

    Returns:
        None for a run without one.

    Raises:
        ValueError: If the run is a shared model, which is the embedder alone, the weights do not
            fit, or the settings name a class to import and the run is not trusted.
    """
    if run.config.generator is None:
        return None
    if run.generator_state is None or run.num_classes is None:
        raise ValueError(f"'{run.path}' is an embedder alone: name a run folder or a checkpoint")
    if not run.trust:
        refuse_user_classes(run.path, run.config)
    generator = build_generator(run.config, run.num_classes)
    assert generator is not None
    _fill(generator, run.generator_state, run.path, "generator")
    embedder = next(run.embedder.parameters())
    return generator.to(embedder.device, embedder.dtype).eval()


def refuse_user_classes(
    path: Path, config: ExperimentConfig, sections: Collection[str] = SECTIONS
) -> None:
    """Raise if the settings in a file name classes as `module.path:ClassName`.

    Args:
        path: The file.
        config: Its settings.
        sections: Which of `SECTIONS` are to be used.

    Raises:
        ValueError: With the names, and how to allow their import.
    """
    if named := user_classes(config, sections):
        raise ValueError(
            f"'{path}' asks to import {', '.join(map(repr, named))}, which runs code that does not "
            "come with gcahng: if you know the origin of the file, allow it with --trust (in "
            "Python, trust=True)"
        )


def user_classes(config: ExperimentConfig, sections: Collection[str] = SECTIONS) -> list[str]:
    """Return the classes that some sections name as `module.path:ClassName`.

    Example:
        >>> from gcahng.config import load_config
        >>> user_classes(load_config("digits", ["data.name=mine:Photos", "loss.name=mine:Loss"]))
        ['mine:Photos', 'mine:Loss']
    """
    names = {
        "data": [config.data.name],
        "embedder": [config.embedder.backbone.name],
        "loss": [config.loss.name],
        "generator": [],
    }
    if config.generator is not None:
        names["generator"] = [config.generator.name, *_texts(config.generator.args)]
    return [name for section in sections for name in names[section] if names_class(name)]


def _texts(value: object) -> Iterator[str]:
    """Yield all text in nested arguments, such as the names of layers."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping | list):
        for inner in value.values() if isinstance(value, Mapping) else value:
            yield from _texts(inner)


def checkpoint_path(path: str | Path, *, last: bool = False) -> Path:
    """Return the checkpoint of a run folder, its best or its last, or the file itself.

    Of a folder with a shared model and no checkpoints, its weights.

    Raises:
        FileNotFoundError: If a folder holds no such checkpoint.
    """
    path = Path(path)
    if not path.is_dir():
        return path
    folder = RunFolder(path)
    found = folder.last if last else folder.best
    if not (last or folder.last.is_file()) and (path / WEIGHTS).is_file():
        return path / WEIGHTS
    if not found.is_file():
        raise FileNotFoundError(
            f"no run in '{folder.path}': it has neither checkpoints/{found.name} nor {WEIGHTS}"
        )
    return found


def _loaded(
    path: Path, config: ExperimentConfig, state: Mapping[str, Any], trust: bool
) -> LoadedRun:
    if not trust:
        # What an embedder needs: its network, and the images' transform, which the data set names.
        refuse_user_classes(path, config, ("data", "embedder"))
    embedder = build_embedder(config, pretrained=False)
    _fill(embedder, state["embedder"], path, "embedder")
    generator = state.get("generator")
    if (finish := state.get("finish")) is not None:
        dim, width = finish["linear.weight"].shape
        head = WhiteningHead(width, dim)
        head.load_state_dict(finish)
        embedder.take_head(head)
        config, generator = whitened(config, dim), None
    return LoadedRun(
        path,
        config,
        embedder.to(run_device(config)).eval(),
        state["epoch"],
        state.get("num_classes"),
        generator,
        trust,
    )


def _fill(module: nn.Module, weights: Mapping[str, Tensor], path: Path, what: str) -> None:
    what = f"the {what} of its configuration"
    if unused := load_strictly(module, weights, path, what):
        raise ValueError(f"'{path}' does not fit {what}, which has no {listed(unused)}")


def run_device(config: ExperimentConfig) -> torch.device:
    """The configured device, of several the first, or what this machine has instead.

    Where the device is missing, such as `devices: [1]` on a machine with one GPU: the first of the
    same kind, else the CPU.
    """
    if config.fabric.accelerator == "cpu" or not torch.accelerator.is_available():
        return torch.device("cpu")
    # Its import takes as long as that of torch.
    from lightning_fabric import Fabric

    for devices in (config.fabric.devices, 1):
        with suppress(RuntimeError, TypeError, ValueError):
            return Fabric(accelerator=config.fabric.accelerator, devices=devices).device
    return torch.device("cpu")
