"""What is built from the settings of a run: its generator, and its model to share."""

from dataclasses import dataclass
from pathlib import Path

from torch import Tensor, nn

from gcahng.builders.networks import build_generator, describe_embedder
from gcahng.config import ExperimentConfig
from gcahng.data import ImageDataset
from gcahng.generators import NegativeGenerator
from gcahng.models.artifact import fill_module, write_artifact
from gcahng.runs.loading import LoadedRun, refuse_user_classes, user_classes


@dataclass(frozen=True)
class EvaluatedRun:
    """A trained embedder with a data set that it has embedded."""

    run: LoadedRun
    dataset: ImageDataset
    embeddings: Tensor


def load_generator(run: LoadedRun) -> NegativeGenerator | None:
    """Build the negative generator that a run was trained with, in evaluation mode."""
    if run.config.generator is None:
        return None
    if run.generator_state is None or run.num_classes is None:
        raise ValueError(f"'{run.path}' is an embedder alone: name a run folder or a checkpoint")
    if not run.trust:
        refuse_user_classes(run.path, user_classes(run.config))
    generator = build_generator(run.config, run.num_classes)
    assert generator is not None
    fill_module(generator, run.generator_state, run.path, "generator")
    embedder = next(run.embedder.parameters())
    return generator.to(embedder.device, embedder.dtype).eval()


def write_shared_model(folder: Path, embedder: nn.Module, config: ExperimentConfig) -> None:
    """Write the embedder of an experiment into a folder, as `load_run` and `load_embedder` read."""
    write_artifact(folder, embedder, describe_embedder(config), config.model_dump())
