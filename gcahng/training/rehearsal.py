"""Try at the start of a training what would otherwise fail later, or after all of it."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch.utils.data import default_collate

from gcahng.builders.blame import blame_setting
from gcahng.data import ImageDataset
from gcahng.runs.checkpoint import random_states, restore_random_states
from gcahng.runs.folder import RunFolder, write_shared_model
from gcahng.training.experiment import Experiment


def rehearse(experiment: Experiment) -> None:
    """Embed an image of each split, and write the shared model to a temporary folder.

    Networks and random states are left as they were.

    Raises:
        ValueError: If images of a split do not fit each other or the backbone, or the embedder
            cannot be stored; the sentence begins with the setting to change.
    """
    splits = experiment.splits
    with _undisturbed(experiment):
        for dataset in (splits.train, splits.validation, splits.test):
            if dataset is not None:
                _embed_two(experiment, dataset)
        with (
            tempfile.TemporaryDirectory() as folder,
            blame_setting("embedder.backbone"),
        ):
            write_shared_model(RunFolder(Path(folder)), experiment.embedder, experiment.config)


def _embed_two(experiment: Experiment, dataset: ImageDataset) -> None:
    """Embed the first and the last image as one batch."""
    images = [dataset[0][0], dataset[len(dataset) - 1][0]]
    shapes = ", ".join(str(list(image.shape)) for image in images)
    try:
        batch = experiment.to_device(default_collate(images))
    except RuntimeError as error:
        raise ValueError(
            f"data.transform: images of one batch need one shape, but the {dataset.split} split "
            f"has {shapes}: choose a transform that crops, such as data.transform.name=imagenet"
        ) from error
    name, dim = experiment.config.embedder.backbone.name, experiment.config.embedder.dim
    try:
        shape = list(experiment.embedder(batch).shape)
    except (RuntimeError, TypeError, AttributeError, AssertionError, ValueError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ValueError(
            f"embedder.backbone: {name!r} cannot embed images of shape {list(batch.shape[1:])}, as "
            f"data.transform makes them ({reason}): choose another backbone, its arguments in "
            "embedder.backbone.args, or another size with data.transform.train and test"
        ) from error
    if shape != [2, dim]:
        raise ValueError(
            f"embedder.backbone: expected embeddings of shape [2, {dim}] from two images, got "
            f"{shape} from {name!r}"
        )


@contextmanager
def _undisturbed(experiment: Experiment) -> Iterator[None]:
    """Evaluation without gradients; the mode and all random states are restored afterwards."""
    states, was_training = random_states(), experiment.embedder.training
    experiment.embedder.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        experiment.embedder.train(was_training)
        restore_random_states(states)
