"""Try an experiment without training it: sizes, one step, and what the whole run would cost."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import ceil

import torch
from torch import nn
from torch.utils.data import default_collate

from gcahng.config import ExperimentConfig
from gcahng.data import ImageDataset
from gcahng.training.cost import measure_time
from gcahng.training.experiment import Experiment, build_experiment
from gcahng.training.fabric import make_fabric, number_of_devices, use_device
from gcahng.training.lightning import seed_everything
from gcahng.training.measure_step import StepCost, measure_step, median_times
from gcahng.training.rehearsal import rehearse
from gcahng.training.warm_start import BATCH_SIZE as WARM_START_IMAGES

# Images that are embedded to find the time of an evaluation.
IMAGES = 32


@dataclass(frozen=True)
class DryRun:
    """What a dry run found.

    Attributes:
        splits: By the name of a split, its numbers of classes and images.
        parameters: By part, the number of its parameters, and of those that are trained.
        step: Cost of a training step; None if nothing is trained.
        costs: Estimated seconds of the run's parts, by name, in their order.
        steps: Steps of an epoch.
        device: Where the step ran.
        processes: How many processes a run would have; the dry run has one.
    """

    splits: Mapping[str, tuple[int, int]]
    parameters: Mapping[str, tuple[int, int]]
    step: StepCost | None
    costs: Mapping[str, float]
    steps: int
    device: torch.device
    processes: int


def dry_run(config: ExperimentConfig) -> DryRun:
    """Build an experiment, take a few steps, and estimate the cost of a run; writes no run.

    Raises:
        ValueError: If the settings do not fit the data or the machine, or a batch does not fit
            the device.
        NonFiniteLossError: If a loss is not finite.
    """
    processes = number_of_devices(config.fabric) * config.fabric.num_nodes
    devices = config.fabric.devices
    fabric = make_fabric(config.fabric, devices[:1] if isinstance(devices, list) else 1, 1)
    use_device(fabric.device)
    if config.fabric.threads is not None:
        torch.set_num_threads(config.fabric.threads)
    seed_everything(config.seed, verbose=False)
    # Loading is measured in this process.
    data = config.data.model_copy(update={"workers": 0})
    here = config.model_copy(update={"data": data})
    experiment = build_experiment(here, fabric.device)
    rehearse(experiment)
    try:
        step = measure_step(experiment) if config.train.epochs else None
        costs = _costs(config, experiment, step)
    except torch.OutOfMemoryError as error:
        size = config.batch.classes * config.batch.samples
        raise ValueError(
            f"batch: a step with {size} images does not fit the memory of {fabric.device}: set "
            "batch.chunk, or fewer batch.classes or batch.samples"
        ) from error
    return DryRun(
        splits={name: (s.num_classes, len(s)) for name, s in _splits(experiment).items()},
        parameters=_parameters(experiment),
        step=step,
        costs={name: seconds for name, seconds in costs.items() if seconds},
        steps=len(experiment.loader),
        device=fabric.device,
        processes=processes,
    )


def _costs(
    config: ExperimentConfig, experiment: Experiment, step: StepCost | None
) -> dict[str, float]:
    """Seconds of the parts of a run."""
    counts = {name: len(split) for name, split in _splits(experiment).items()}
    computing, loading = _image_seconds(experiment)
    section = config.embedder.warm_start
    images = 0 if section is None else section.steps * WARM_START_IMAGES
    costs = {
        # The backward pass takes about twice the time of the forward pass.
        "warm start": images * (3 * computing + loading),
        **_embedding_costs(config, counts, _together(computing, loading, config.data.workers)),
    }
    if step is not None:
        loading = 0.0 if "backbone" in config.embedder.freeze else step.data_seconds
        one = _together(median_times(step.step).seconds, loading, config.data.workers)
        training = one * len(experiment.loader) * config.train.epochs
        costs["training"] = min(training, config.train.max_seconds or training)
    return costs


def _splits(experiment: Experiment) -> dict[str, ImageDataset]:
    splits = experiment.splits
    named = {
        "warm start": experiment.warm_start_split,
        "train": splits.train,
        "validation": splits.validation,
        "test": splits.test,
    }
    return {name: split for name, split in named.items() if split is not None}


def _parameters(experiment: Experiment) -> dict[str, tuple[int, int]]:
    """All parameters of each part, and those that an optimizer has."""
    generator = experiment.generator
    parts: dict[str, Iterable[nn.Parameter]] = {
        "backbone": experiment.embedder.backbone.parameters(),
        "last layer": experiment.embedder.fc.parameters(),
        "loss": experiment.loss.parameters(),
    }
    if generator is not None:
        parts["graph network"] = generator.head_parameters()
        parts["classifier"] = generator.classifier_parameters()
    owned = {id(p) for o in experiment.optimizers for g in o.param_groups for p in g["params"]}
    found = {}
    for name, parameters in parts.items():
        sizes = [(p.numel(), p.requires_grad and id(p) in owned) for p in parameters]
        found[name] = (sum(n for n, _ in sizes), sum(n for n, trained in sizes if trained))
    return found


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


def _embedding_costs(
    config: ExperimentConfig, counts: Mapping[str, int], image_seconds: float
) -> dict[str, float]:
    """Seconds to embed the images of the splits, for features or evaluations."""
    train, validation, test = counts["train"], counts.get("validation", 0), counts["test"]
    if "backbone" in config.embedder.freeze:
        # Without an epoch, a last layer in closed form sees each image once, not augmented.
        views = config.data.views if config.train.epochs else int(config.embedder.head != "none")
        return {"features": (views * train + validation + test) * image_seconds}
    if config.embedder.finish:
        # It is fitted anew wherever something is measured.
        validation, test = validation + train, test + train
    evaluations = ceil(config.train.epochs / config.eval.every)
    # The last and the best epoch are measured on the test split, unless they have been already.
    images = evaluations * test if config.selects_on_test else evaluations * validation + 2 * test
    before = config.eval.zero_shot * (validation + test)
    return {"before training": before * image_seconds, "evaluation": images * image_seconds}


def _together(computing: float, loading: float, workers: int) -> float:
    """Seconds of work whose images are loaded before it, or meanwhile by other processes."""
    return max(computing, loading / workers) if workers else computing + loading
