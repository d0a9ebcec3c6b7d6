"""Cost of one training step of an experiment, part by part, and an estimate for a whole run."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from torch import Tensor

from gcahng.benchmark.drawn_photos import PHOTO_SIZE, DrawnPhotos
from gcahng.benchmark.measure import (
    Times,
    Work,
    device_name,
    find_device,
    median_times,
    time_in_turn,
    torch_threads,
)
from gcahng.benchmark.report import report_benchmark
from gcahng.benchmark.workloads import differentiate
from gcahng.builders.image_settings import adopt_image_settings
from gcahng.builders.images import Splits, open_split, transform_of
from gcahng.config import ExperimentConfig, load_config
from gcahng.data import DATASETS, ImageDataset, PublishedDataset
from gcahng.generators import NegativeGenerator
from gcahng.graph import batch_layout
from gcahng.graph.precision import half_to_float32
from gcahng.reports.tables import Column
from gcahng.training.experiment import Experiment, build_experiment, build_step
from gcahng.training.peak_memory import peak_memory_mib, reset_peak_memory
from gcahng.training.step import TrainingStep

SEPARATE = ("embedder", "metric loss", "hard negatives")
PARTS = ("data", *SEPARATE, "rest", "step")
COLUMNS = (
    Column("experiment", "experiment"),
    Column("part", "part"),
    Column("seconds", "seconds", "number"),
    Column("cpu", "CPU s", "number"),
    Column("share", "% of step", "percent"),
    Column("mib", "peak MiB", "mib"),
    Column("steps", "steps/epoch", "integer"),
    Column("epochs", "epochs", "integer"),
    Column("hours", "hours", "seconds"),
)
NOTES = (
    "Seconds, CPU s (of all threads): medians of interleaved runs in one process, after a "
    "warm-up. data: load, crop and normalise one batch in this process. embedder, metric loss, "
    "hard negatives (both graph passes, or the only one): forward and backward of each alone. "
    "step: the whole training step without data. rest: the step minus these three, mainly the "
    "optimizers (a difference of medians, so noise can make it negative). % of step: of the "
    "seconds.",
    "Peak MiB: of the process on a CPU, allocated on a GPU. The networks are untrained, which does "
    "not change the cost of a step. It does change the distances: they show what the formulas do "
    "to a batch, not what happens during training.",
    "hours: steps/epoch × epochs × step, an ESTIMATE: without evaluation, and assuming that other "
    "processes load the data meanwhile.",
)
# Distances below this are rounding errors; an untrained network with frozen BatchNorm may collapse.
COLLAPSED = 1e-6


def run_step_cost(
    experiments: Sequence[str],
    overrides: Sequence[str],
    repetitions: int,
    threads: int,
    out: Path | None,
    console: Console,
    device: str = "cpu",
) -> list[dict[str, Any]]:
    """Measure one step of each experiment and print one table.

    Args:
        experiments: Names or files.
        overrides: `key.path=value` settings for all of them.
        repetitions: Timed runs of each part.
        threads: Number of threads of torch during the measurement.
        out: Folder for `step_cost.md` and `step_cost.csv`; None writes no files.
        console: Where to print.
        device: `cpu` or `cuda`; default `cpu`.

    Returns:
        One row per experiment and part, keyed as in `COLUMNS`.

    Raises:
        FileNotFoundError: If an experiment does not exist.
        ValueError: If a setting is wrong.
    """
    settings = [adopt_image_settings(load_config(name, overrides)) for name in experiments]
    target = find_device(device)
    with torch_threads(threads):
        found = [_measure(config, repetitions, target) for config in settings]
    rows = [row for part_rows, _ in found for row in part_rows]
    machine = (
        f"{device_name(target)}, {threads} thread(s), torch {torch.__version__}, "
        f"{repetitions} repetitions."
    )
    notes = [machine, *(note for _, note in found), *NOTES]
    report_benchmark(console, out, "step_cost", "One training step", rows, COLUMNS, notes)
    return rows


def _measure(
    config: ExperimentConfig, repetitions: int, device: torch.device
) -> tuple[list[dict[str, Any]], str]:
    dataset, source = _training_images(config)
    experiment = _experiment(config, dataset, device)
    mixed = config.fabric.precision == "bf16-mixed"
    autocast = partial(torch.autocast, device.type, torch.bfloat16, enabled=mixed)
    loader, step = experiment.loader, build_step(experiment, autocast=autocast)
    images, labels = next(iter(loader))
    images = experiment.to_device(images)
    with torch.no_grad(), step.autocast():
        embeddings = half_to_float32(step.embedder(images))
    classes = labels.to(device)
    work: dict[str, Work] = {
        "data": lambda: _drop(next(iter(loader))),
        "embedder": _embedding(step, images),
        "metric loss": _metric_loss(step, embeddings, classes),
        "step": lambda: _drop(step(images, labels)),
    }
    if step.generator is not None:
        work["hard negatives"] = _hard_negatives(step, step.generator, embeddings, classes)
    found = time_in_turn(work, repetitions, device)
    times = {part: median_times(runs) for part, runs in found.items()}
    times["rest"] = _rest(times)
    reset_peak_memory(device)
    step(images, labels)
    steps, seconds = _steps_per_epoch(config, dataset), times["step"].seconds
    rows: list[dict[str, Any]] = [
        {"experiment": config.name, "part": part, **times[part]._asdict()}
        for part in PARTS
        if part in times
    ]
    for row in rows:
        if row["part"] != "data":
            row["share"] = row["seconds"] / seconds
        if row["part"] == "step":
            row |= {
                "mib": peak_memory_mib(device),
                "steps": steps,
                "epochs": config.train.epochs,
                "hours": seconds * steps * config.train.epochs / 3600,
            }
    note = (
        f"{config.name}: {config.batch.classes} classes × {config.batch.samples} images "
        f"{tuple(images.shape[1:])}, {config.fabric.precision}, {source}."
    )
    if step.generator is not None:
        note += " " + _hardness(step.generator, embeddings, classes)
    return rows, note


def _rest(times: dict[str, Times]) -> Times:
    """What the step takes beyond the parts that were measured alone."""
    parts = [times[part] for part in SEPARATE if part in times]
    together = (sum(values) for values in zip(*parts, strict=True))
    return Times(*(whole - part for whole, part in zip(times["step"], together, strict=True)))


def _experiment(
    config: ExperimentConfig, dataset: ImageDataset, device: torch.device
) -> Experiment:
    """The experiment with untrained networks, its images loaded in this process."""
    data = config.data.model_copy(update={"workers": 0})
    embedder = config.embedder.model_copy(update={"warm_start": None})
    here = config.model_copy(update={"data": data, "embedder": embedder})
    torch.manual_seed(config.seed)
    splits = Splits(train=dataset, validation=None, test=dataset)
    experiment = build_experiment(here, device, pretrained=False, splits=splits)
    if experiment.generator is not None:
        # Values as after some epochs, so that the synthetic term has weight.
        experiment.generator.hardness.metric.fill_(2.0)
        experiment.generator.hardness.generator.fill_(5.0)
    experiment.embedder.train()
    return experiment


def _training_images(config: ExperimentConfig) -> tuple[ImageDataset, str]:
    """The experiment's training images, or artificial ones with the same number of classes."""
    try:
        return open_split(config, "train", augment=True), "its own images"
    except FileNotFoundError:
        benchmark = DATASETS.find(config.data.name)
        if not issubclass(benchmark, PublishedDataset):
            raise
        drawn = DrawnPhotos(benchmark.expected["train"].classes, config.batch.samples)
        drawn.transform = transform_of(config, drawn, augment=True)
        return drawn, f"drawn JPEGs of {PHOTO_SIZE[0]}×{PHOTO_SIZE[1]} in place of its images"


def _steps_per_epoch(config: ExperimentConfig, dataset: ImageDataset) -> int:
    images, benchmark = len(dataset), DATASETS.find(config.data.name)
    if isinstance(dataset, DrawnPhotos) and issubclass(benchmark, PublishedDataset):
        images = benchmark.expected["train"].images
    return max(1, images // (config.batch.classes * config.batch.samples))


def _embedding(step: TrainingStep, images: Tensor) -> Work:
    def run() -> None:
        step.embedder.zero_grad(set_to_none=True)
        with step.autocast():
            embeddings = step.embedder(images)
        embeddings.sum().backward()

    return run


def _metric_loss(step: TrainingStep, embeddings: Tensor, labels: Tensor) -> Work:
    def run() -> None:
        step.metric_loss(embeddings.detach().requires_grad_(), labels).backward()

    return run


def _hard_negatives(
    step: TrainingStep, generator: NegativeGenerator, embeddings: Tensor, labels: Tensor
) -> Work:
    def run() -> None:
        generator.zero_grad(set_to_none=True)
        differentiate(generator, embeddings.detach().requires_grad_(), labels, step.autocast)

    return run


def _hardness(generator: NegativeGenerator, embeddings: Tensor, labels: Tensor) -> str:
    """Distances of real and synthetic negatives from their anchors on this batch, as text."""
    slots = batch_layout(labels).to(embeddings.device).slots(embeddings)
    with torch.no_grad():
        negatives = generator(embeddings, labels).negatives
    if negatives is None:
        return "No negatives are made."
    classes = slots.size(1)
    others = ~torch.eye(classes, dtype=torch.bool, device=slots.device)
    anchors = slots[:, :, None]
    real = (anchors - slots[:, None]).norm(dim=-1)[:, others]
    synthetic = (anchors - negatives).norm(dim=-1)[:, others]
    positive = (slots - slots.roll(-1, 0)).norm(dim=-1)
    if real.median() < COLLAPSED:
        return "The untrained network maps all images to one point."
    nearest = real.view(len(slots), classes, -1).amin(-1, keepdim=True)
    harder = (synthetic.view(len(slots), classes, -1) < nearest).float().mean()
    return (
        f"Median distance from the anchor: positive {positive.median():.3g}, real negative "
        f"{real.median():.3g}, synthetic negative {synthetic.median():.3g}; "
        f"{100 * harder:.0f} % of the synthetic ones are nearer than the nearest real one."
    )


def _drop(_: object) -> None:
    """Discard a result: the measured functions return None."""
