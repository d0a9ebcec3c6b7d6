"""All objects of an experiment, built once from its settings."""

from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LRScheduler

from gcahng.builders.images import Splits, build_splits, build_train_loader, build_warm_start_split
from gcahng.builders.networks import build_embedder, build_generator, build_loss
from gcahng.config import ExperimentConfig
from gcahng.config.experiment import whitened
from gcahng.data import ImageDataset, TrainLoader
from gcahng.generators import NegativeGenerator
from gcahng.models import Embedder, WhiteningHead
from gcahng.processes import Group, copy_from_first, world_size
from gcahng.training.generator_pass import Autocast, check_passes
from gcahng.training.optimizers import Optimizers, build_optimizers, build_schedules
from gcahng.training.step import Backward, TrainingStep


@dataclass(frozen=True)
class Experiment:
    """What a training works with.

    Attributes:
        config: The settings.
        device: Where the networks are.
        splits: Training, validation and test images.
        warm_start_split: Images for the warm start, or None.
        loader: Class-balanced training batches; `loader.batches.set_epoch` chooses them.
        embedder: Images → embeddings.
        loss: The metric loss.
        generator: The source of hard negatives, or None.
        optimizers: Of these three.
        schedules: One learning-rate schedule for each optimizer, in the same order.
        group: The processes that train together, or None.
    """

    config: ExperimentConfig
    device: torch.device
    splits: Splits
    warm_start_split: ImageDataset | None
    loader: TrainLoader
    embedder: Embedder
    loss: nn.Module
    generator: NegativeGenerator | None
    optimizers: Optimizers
    schedules: list[LRScheduler]
    group: Group = None

    @property
    def modules(self) -> dict[str, nn.Module]:
        """The networks by the names that they have in a checkpoint."""
        named = {"embedder": self.embedder, "loss": self.loss, "generator": self.generator}
        return {name: module for name, module in named.items() if module is not None}

    @property
    def saved_config(self) -> ExperimentConfig:
        """The settings of the model that is saved, with the last layer that it has."""
        if isinstance(self.embedder.fc, WhiteningHead):
            return whitened(self.config, self.embedder.embedding_dim)
        return self.config

    def count_parameters(self) -> dict[str, int]:
        """Count the trained parameters, for the results; those of the metric loss are not."""
        trained = [p for p in self.embedder.parameters() if p.requires_grad]
        generator: list[nn.Parameter] = []
        if self.generator is not None:
            generator += self.generator.head_parameters()
            if self.generator.has_generator_losses:
                generator += self.generator.classifier_parameters()
        return {
            "embedder_parameters": sum(p.numel() for p in trained),
            "generator_parameters": sum(p.numel() for p in generator),
        }

    def to_device(self, images: Tensor) -> Tensor:
        """Bring images [B, C, H, W] or features to the networks' device and number format."""
        channels_last = self.config.fabric.channels_last and images.dim() == 4
        layout = torch.channels_last if channels_last else torch.preserve_format
        dtype = _dtype(self.config)
        return images.to(self.device, dtype, non_blocking=True, memory_format=layout)


def build_experiment(
    config: ExperimentConfig,
    device: torch.device | str = "cpu",
    *,
    pretrained: bool = True,
    splits: Splits | None = None,
    group: Group = None,
) -> Experiment:
    """Build what an experiment's settings name, on one device.

    Networks draw their initial weights from torch's global random state: seed it before.

    Args:
        config: The settings.
        device: Where the networks go.
        pretrained: Whether to fetch pretrained weights; False where a checkpoint follows.
        splits: The images, where they are open already; by default opened here.
        group: The processes that train together; None: this one alone.

    Raises:
        ValueError: If a setting does not fit the data or its component; the sentence begins with
            the setting.
    """
    splits = splits or build_splits(config)
    warm_start_split = build_warm_start_split(config)
    loader = build_train_loader(config, splits.train, group)
    num_classes = splits.train.num_classes
    embedder = build_embedder(config, pretrained)
    width: Any = embedder.backbone.out_channels
    _check_closed_form(config, splits, int(width))
    loss = build_loss(config, num_classes)
    generator = build_generator(config, num_classes)
    for setting in ("compile", "cuda_graphs"):
        if getattr(config.fabric, setting):
            check_passes(f"fabric.{setting}", generator, torch.device(device), group)
    networks = [module for module in (embedder, loss, generator) if module is not None]
    for module in networks:
        module.to(device, _dtype(config))
    size, processes = config.batch.classes * config.batch.samples, world_size(group)
    if processes > size:
        raise ValueError(f"batch: {size} images cannot be shared by {processes} processes")
    copy_from_first(networks, group)
    if config.fabric.channels_last:
        embedder.to(memory_format=torch.channels_last)
    # After the networks have reached their device: optimizers hold on to the parameters.
    optimizers = build_optimizers(config, embedder, loss, generator)
    return Experiment(
        config,
        torch.device(device),
        splits,
        warm_start_split,
        loader,
        embedder,
        loss,
        generator,
        optimizers,
        build_schedules(config, optimizers),
        group,
    )


def build_step(
    experiment: Experiment,
    *,
    backward: Backward = Tensor.backward,
    autocast: Autocast = nullcontext,
) -> TrainingStep:
    """Build the training step with the configured clipping.

    Args:
        experiment: What is trained.
        backward: Runs the backward pass of a scalar; by default its own `backward`.
        autocast: Returns the context for the forward passes; by default none.
    """
    config = experiment.config
    return TrainingStep(
        experiment.embedder,
        experiment.loss,
        experiment.generator,
        experiment.optimizers,
        clip=config.optim.clip,
        clip_by="value" if config.quirks.clip == "faithful" else "norm",
        backward=backward,
        autocast=autocast,
        chunk=config.batch.chunk,
        compiled=config.fabric.compile,
        cuda_graphs=config.fabric.cuda_graphs,
        group=experiment.group,
    )


def _dtype(config: ExperimentConfig) -> torch.dtype:
    return torch.float64 if config.fabric.precision == "64-true" else torch.float32


def _check_closed_form(config: ExperimentConfig, splits: Splits, width: int) -> None:
    """Raise before any long work if the training images do not determine a closed form."""
    section, classes, images = config.embedder, splits.train.num_classes, len(splits.train)
    if section.head != "whitening" and section.finish is None:
        return
    if images <= classes:
        raise ValueError(
            f"embedder: a closed form learns how images of a class vary, but {images} training "
            f"images are of {classes} classes: add images"
        )
    dim = section.dim if section.head == "whitening" else None
    if dim is not None and classes <= dim < width:
        raise ValueError(
            f"embedder.dim: expected at most {classes - 1} with {classes} training classes, or "
            f"{width}, the width of the features, for embedder.head=whitening (got {dim})"
        )
