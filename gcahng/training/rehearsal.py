"""Try at the start of a training what would otherwise fail later, or after all of it."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import default_collate

from gcahng.data import ImageDataset
from gcahng.errors import blame_setting
from gcahng.graph import batch_layout
from gcahng.reasons import first_line
from gcahng.runs.checkpoint import random_states, restore_random_states
from gcahng.runs.embedding import write_shared_model
from gcahng.training.experiment import Experiment
from gcahng.training.measure_step import differentiate_negatives
from gcahng.training.step import metric_loss


def rehearse(experiment: Experiment) -> None:
    """Embed images of each split, differentiate losses of a batch, and write the model to share.

    Networks and random states are left as they were, and the written files are deleted. Each of
    several processes does all of this alone.

    Raises:
        ValueError: If images of a split do not fit each other or the backbone, a loss cannot be
            computed, or the embedder cannot be stored; the sentence begins with the setting to
            change.
    """
    splits = experiment.splits
    with _undisturbed(experiment):
        for dataset in (splits.train, splits.validation, splits.test):
            if dataset is not None:
                _embed_two(experiment, dataset)
        _differentiate_losses(experiment)
        with (
            tempfile.TemporaryDirectory() as folder,
            blame_setting("embedder.backbone"),
        ):
            write_shared_model(Path(folder), experiment.embedder, experiment.config)


def _embed_two(experiment: Experiment, dataset: ImageDataset) -> None:
    """Embed the first and the last image as one batch."""
    where = f"data.transform: the images of the {dataset.split} split"
    hint = "choose a transform that makes tensors of one size, such as data.transform.name=imagenet"
    try:
        images = [dataset[0][0], dataset[len(dataset) - 1][0]]
    except (RuntimeError, TypeError, AttributeError) as error:
        raise ValueError(f"{where} cannot be made ({first_line(error)})") from error
    kinds = {type(image).__name__ for image in images if not isinstance(image, Tensor | np.ndarray)}
    if kinds:
        raise ValueError(f"{where} are no tensors but of type {', '.join(sorted(kinds))}: {hint}")
    try:
        batch = experiment.to_device(default_collate(images))
    except RuntimeError as error:
        shapes = ", ".join(str(list(image.shape)) for image in images)
        raise ValueError(f"{where} have the shapes {shapes}: {hint}") from error
    name, dim = experiment.config.embedder.backbone.name, experiment.embedder.embedding_dim
    try:
        shape = list(experiment.embedder(batch).shape)
    except (RuntimeError, TypeError, AttributeError, AssertionError, ValueError) as error:
        raise ValueError(
            f"embedder.backbone: {name!r} cannot embed images of shape {list(batch.shape[1:])} "
            f"({first_line(error)}): choose another backbone, other embedder.backbone.args, or "
            "another size with data.transform.train and test"
        ) from error
    if shape != [2, dim]:
        raise ValueError(
            f"embedder.backbone: expected embeddings of shape [2, {dim}] from two images, got "
            f"{shape} from {name!r}"
        )


def _differentiate_losses(experiment: Experiment) -> None:
    """Run metric loss and generator on random embeddings of one batch, with copies of both."""
    config, dim = experiment.config, experiment.config.embedder.dim
    if dim is None or config.train.epochs == 0:
        return  # Nothing is trained.
    weight = next(experiment.embedder.fc.parameters())
    labels = torch.arange(config.batch.classes).repeat(config.batch.samples)
    layout = batch_layout(labels).to(weight.device)
    embeddings = weight.new_empty(len(labels), dim).normal_().requires_grad_()
    labels = labels.to(weight.device)
    try:
        loss, generator = deepcopy((experiment.loss, experiment.generator))
    except RuntimeError:
        return  # A user's class that cannot be copied is tried by the first batch instead.
    with torch.enable_grad():
        with blame_setting("loss.args" if config.loss.args else "loss.name"):
            metric_loss(loss, embeddings, labels, layout)
        if generator is None or config.generator is None:
            return
        with blame_setting("generator.args" if config.generator.args else "generator"):
            differentiate_negatives(generator, embeddings, labels, layout)


@contextmanager
def _undisturbed(experiment: Experiment) -> Iterator[None]:
    """Evaluation without gradients; the mode and all random states are restored afterwards."""
    states, was_training = random_states(experiment.device), experiment.embedder.training
    experiment.embedder.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        experiment.embedder.train(was_training)
        restore_random_states(states, experiment.device)
