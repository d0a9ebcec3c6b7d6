"""Open a trained run."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from gcahng.models.artifact import WEIGHTS, EmbedderSpec, read_artifact
from gcahng.models.embedder import Embedder
from gcahng.models.heads import WhiteningHead
from gcahng.registry import names_class
from gcahng.runs.checkpoint import load_checkpoint
from gcahng.runs.folder import RunFolder

if TYPE_CHECKING:  # `gcahng search` opens a model without them
    from gcahng.config import ExperimentConfig


@dataclass(frozen=True)
class LoadedRun:
    """A trained embedder and its settings.

    Attributes:
        path: The file that it was read from.
        spec: What the embedder consists of.
        embedder: In evaluation mode.
        settings: The experiment that it was trained by, as YAML; empty for a backbone.
        epoch: After which epoch; None for a shared or an imported model.
        figures: What was measured with a shared model.
        num_classes: How many classes it was trained on; None if the file does not say.
        generator_state: Weights of its negative generator; None if the file has none.
        trust: Whether classes that the settings name as `module.path:ClassName` may be imported.
    """

    path: Path
    spec: EmbedderSpec
    embedder: Embedder
    settings: str = field(repr=False)
    epoch: int | None = None
    figures: Mapping[str, Any] | None = field(default=None, repr=False)
    num_classes: int | None = field(default=None, repr=False)
    generator_state: Mapping[str, Tensor] | None = field(default=None, repr=False)
    trust: bool = False

    @cached_property
    def config(self) -> "ExperimentConfig":
        """The settings of the training, with the last layer that the embedder has."""
        from gcahng.config.experiment import parse_config, whitened

        if not self.settings:
            raise ValueError(f"'{self.path}' was not trained here, so it has no settings")
        found = parse_config(self.settings, str(self.path))
        if self.spec.head == "whitening" and found.embedder.finish:
            return whitened(found, self.embedder.embedding_dim)
        return found


def load_run(
    path: str | Path, *, last: bool = False, trust: bool = False, finished: bool = True
) -> LoadedRun:
    """Open a run folder, a checkpoint or a shared model.

    Args:
        path: A run folder, of which the best epoch is opened, a checkpoint, or a shared model, as
            the folder or its `model.safetensors`.
        last: Open the last epoch of a run folder instead.
        trust: Allow the import of classes that the settings name, which runs their code; only for
            runs whose origin you know.
        finished: Whether to take the last layer that `embedder.finish` has put in place of the
            trained one, which the run's negative generator knows.

    Raises:
        FileNotFoundError: If there is nothing at `path`, or no checkpoint in the folder.
        ValueError: If the file is damaged or from another program or version, or names a backbone
            to import and is not trusted.

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
        shared = read_artifact(path)
        embedder = _fill(shared.spec, shared.weights, path, trust)
        settings = "" if shared.experiment is None else dumps(shared.experiment)
        return LoadedRun(path, shared.spec, embedder, settings, figures=shared.figures, trust=trust)
    state = load_checkpoint(path)
    spec, generator = EmbedderSpec.from_dict(state["spec"]), state.get("generator")
    embedder = _fill(spec, state["embedder"], path, trust)
    if finished and (finish := state.get("finish")) is not None:
        dim, width = finish["linear.weight"].shape
        head = WhiteningHead(width, dim)
        head.load_state_dict(finish)
        embedder.take_head(head)
        spec, generator = spec.whitened(dim), None
    return LoadedRun(
        path,
        spec,
        embedder,
        state["config"],
        state["epoch"],
        num_classes=state.get("num_classes"),
        generator_state=generator,
        trust=trust,
    )


def _fill(spec: EmbedderSpec, weights: Mapping[str, Tensor], path: Path, trust: bool) -> Embedder:
    """Build an embedder with the weights of a file, on the accelerator if there is one."""
    if not trust:
        refuse_user_classes(path, [spec.backbone])
    embedder = spec.load(weights, path)
    if torch.accelerator.is_available():
        embedder.to(torch.accelerator.current_accelerator())
    return embedder


def checkpoint_path(path: str | Path, *, last: bool = False) -> Path:
    """Return a run folder's best or last checkpoint, else its shared model; or the file itself."""
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


def refuse_user_classes(path: Path, names: Iterable[str]) -> None:
    """Raise a ValueError if a file names classes as `module.path:ClassName`."""
    if named := ", ".join(repr(name) for name in names if names_class(name)):
        raise ValueError(
            f"'{path}' asks to import {named}, which runs code that does not come with gcahng: if "
            "you know the origin of the file, allow it with --trust (in Python, trust=True)"
        )


def user_classes(config: "ExperimentConfig") -> list[str]:
    """Return the classes that settings name as `module.path:ClassName`.

    Example:
        >>> from gcahng.config import load_config
        >>> user_classes(load_config("digits", ["data.name=mine:Photos", "loss.name=mine:Loss"]))
        ['mine:Photos', 'mine:Loss']
    """
    names = [config.data.name, config.embedder.backbone.name, config.loss.name]
    if config.generator is not None:
        names += [config.generator.name, *_texts(config.generator.args)]
    return [name for name in names if names_class(name)]


def _texts(value: object) -> Iterator[str]:
    """Yield all text in nested arguments, such as the names of layers."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping | list):
        for inner in value.values() if isinstance(value, Mapping) else value:
            yield from _texts(inner)


def run_device(config: "ExperimentConfig") -> torch.device:
    """The device of a run: the CPU if it is configured or there is nothing else."""
    found = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    if found is None or config.fabric.accelerator == "cpu":
        return torch.device("cpu")
    return found
