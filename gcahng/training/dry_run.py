"""Try an experiment without training it: what would fail later, and what a run would cost."""

import tempfile
from collections.abc import Mapping
from copy import deepcopy
from math import ceil
from pathlib import Path
from typing import NamedTuple

import torch
from lightning_fabric import seed_everything
from torch.utils.data import default_collate

from gcahng.config import ExperimentConfig
from gcahng.data import ImageDataset
from gcahng.errors import blame_setting
from gcahng.graph import batch_layout
from gcahng.reasons import first_line
from gcahng.runs.checkpoint import random_states, restore_random_states
from gcahng.runs.embedding import write_shared_model
from gcahng.training.experiment import Experiment, build_experiment
from gcahng.training.fabric import make_fabric, number_of_devices, use_device
from gcahng.training.measure_step import (
    StepCost,
    differentiate_negatives,
    measure_steps,
    measure_time,
    median_times,
)
from gcahng.training.step import metric_loss
from gcahng.training.warm_start import BATCH_SIZE as WARM_START_IMAGES

# Images that are embedded to find the time of an evaluation.
IMAGES = 32
# What a transform or a network raises that was made for other images.
UNFIT = (RuntimeError, TypeError, AttributeError, AssertionError, ValueError)


def rehearse(experiment: Experiment) -> None:
    """Try at the start of a training what would otherwise fail later, or after all of it."""
    states, was_training = random_states(experiment.device), experiment.embedder.training
    experiment.embedder.eval()
    try:
        for dataset in _splits(experiment).values():
            _embed_two(experiment, dataset)
        _differentiate_losses(experiment)
        with tempfile.TemporaryDirectory() as folder, blame_setting("embedder.backbone"):
            write_shared_model(Path(folder), experiment.embedder, experiment.config)
    finally:
        experiment.embedder.train(was_training)
        restore_random_states(states, experiment.device)


@torch.no_grad()
def _embed_two(experiment: Experiment, dataset: ImageDataset) -> None:
    """Embed the first and the last image of a split as one batch."""
    try:
        images = default_collate([dataset[0][0], dataset[len(dataset) - 1][0]])
    except (RuntimeError, TypeError, AttributeError) as error:
        raise ValueError(
            f"data.transform: the images of the {dataset.split} split do not make tensors of one "
            f"size ({first_line(error)}): choose another, such as data.transform.name=imagenet"
        ) from error
    name, dim = experiment.config.embedder.backbone.name, experiment.embedder.embedding_dim
    try:
        shape = list(experiment.embedder(experiment.to_device(images)).shape)
    except UNFIT as error:
        raise ValueError(
            f"embedder.backbone: {name!r} cannot embed images of shape {list(images.shape[1:])} "
            f"({first_line(error)}): choose another backbone, other embedder.backbone.args, or "
            "another size with data.transform.train and test"
        ) from error
    if shape != [2, dim]:
        raise ValueError(
            f"embedder.backbone: expected embeddings of shape [2, {dim}] from two images, got "
            f"{shape} from {name!r}"
        )


def _differentiate_losses(experiment: Experiment) -> None:
    """Run copies of metric loss and generator on random embeddings of one batch."""
    config, dim = experiment.config, experiment.config.embedder.dim
    if dim is None or config.train.epochs == 0:
        return  # Nothing is trained.
    weight = next(experiment.embedder.fc.parameters())
    labels = torch.arange(config.batch.classes).repeat(config.batch.samples)
    layout, labels = batch_layout(labels).to(weight.device), labels.to(weight.device)
    embeddings = weight.new_empty(len(labels), dim).normal_().requires_grad_()
    try:
        loss, generator = deepcopy((experiment.loss, experiment.generator))
    except RuntimeError:
        return  # A user's class that cannot be copied is tried by the first batch instead.
    with blame_setting("loss.args" if config.loss.args else "loss.name"):
        metric_loss(loss, embeddings, labels, layout)
    if generator is not None and config.generator is not None:
        with blame_setting("generator.args" if config.generator.args else "generator"):
            differentiate_negatives(generator, embeddings, labels, layout)


class DryRun(NamedTuple):
    """What a dry run found."""

    splits: Mapping[str, tuple[int, int]]
    step: StepCost | None
    costs: Mapping[str, float]
    steps: int
    device: torch.device
    processes: int


def dry_run(config: ExperimentConfig) -> DryRun:
    """Build an experiment, take a few steps, and estimate the cost of a run; writes no run."""
    processes = number_of_devices(config.fabric)
    devices = config.fabric.devices
    fabric = make_fabric(config.fabric, devices[:1] if isinstance(devices, list) else 1)
    use_device(fabric.device)
    if config.fabric.threads is not None:
        torch.set_num_threads(config.fabric.threads)
    seed_everything(config.seed, verbose=False)
    # Loading is measured in this process.
    experiment = build_experiment(config.changed(data={"workers": 0}), fabric.device)
    rehearse(experiment)
    try:
        step = None
        if config.train.epochs:
            # At most five steps after the first, and about ten seconds.
            step = measure_steps({"": experiment}, 5, limit=10.0, memory=False)[""]
        costs = _costs(config, experiment, step)
    except torch.OutOfMemoryError as error:
        size = config.batch.classes * config.batch.samples
        raise ValueError(
            f"batch: a step with {size} images does not fit the memory of {fabric.device}: set "
            "batch.chunk, or fewer batch.classes or batch.samples"
        ) from error
    splits = {name: (split.num_classes, len(split)) for name, split in _splits(experiment).items()}
    return DryRun(splits, step, costs, len(experiment.loader), fabric.device, processes)


def _splits(experiment: Experiment) -> dict[str, ImageDataset]:
    splits = experiment.splits
    named = {
        "warm start": experiment.warm_start_split,
        "train": splits.train,
        "validation": splits.validation,
        "test": splits.test,
    }
    return {name: split for name, split in named.items() if split is not None}


def _costs(
    config: ExperimentConfig, experiment: Experiment, step: StepCost | None
) -> dict[str, float]:
    """Seconds of the parts of a run that take time."""
    computing, loading = _image_seconds(experiment)
    section, workers = config.embedder.warm_start, config.data.workers
    images = 0 if section is None else section.steps * WARM_START_IMAGES
    # The backward pass takes about twice the time of the forward pass.
    costs = {"warm start": images * (3 * computing + loading)}
    one = _together(computing, loading, workers)
    counts = {name: len(split) for name, split in _splits(experiment).items()}
    costs |= {part: n * one for part, n in embedded_images(config, counts).items()}
    if step is not None:
        loading = 0.0 if "backbone" in config.embedder.freeze else step.data_seconds
        one = _together(median_times(step.step).seconds, loading, workers)
        training = one * len(experiment.loader) * config.train.epochs
        costs["training"] = min(training, config.train.max_seconds or training)
    return {name: seconds for name, seconds in costs.items() if seconds}


def _image_seconds(experiment: Experiment) -> tuple[float, float]:
    """Seconds to embed one image, and to load it."""
    dataset, embedder = experiment.splits.test, experiment.embedder
    count = min(IMAGES, len(dataset))
    loading, loaded = measure_time(lambda: [dataset[i][0] for i in range(count)], experiment.device)
    images = experiment.to_device(default_collate(loaded))
    with torch.inference_mode():
        embedder.eval()(images)
        seconds, _ = measure_time(lambda: embedder(images), experiment.device)
    embedder.train()
    return seconds / count, loading / count


def embedded_images(config: ExperimentConfig, counts: Mapping[str, int]) -> dict[str, int]:
    """How many images a run embeds for features or evaluations, by the sizes of its splits."""
    train, validation, test = counts["train"], counts.get("validation", 0), counts["test"]
    if "backbone" in config.embedder.freeze:
        # Without an epoch, a last layer in closed form sees each image once, not augmented.
        views = config.data.views if config.train.epochs else int(config.embedder.head != "none")
        return {"features": views * train + validation + test}
    if config.embedder.finish:
        # It is fitted anew wherever something is measured.
        validation, test = validation + train, test + train
    evaluations = ceil(config.train.epochs / config.eval.every)
    # The last and the best epoch are measured on the test split, unless they have been already.
    images = evaluations * test if config.selects_on_test else evaluations * validation + 2 * test
    return {"before training": config.eval.zero_shot * (validation + test), "evaluation": images}


def _together(computing: float, loading: float, workers: int) -> float:
    """Seconds of work whose images are loaded before it, or meanwhile by other processes."""
    return max(computing, loading / workers) if workers else computing + loading
