"""Pretrain a small backbone by classifying classes that are set aside for it."""

from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import RandomSampler

from gcahng.data import ImageDataset, ImageLoader
from gcahng.evaluation.evaluate import Progress
from gcahng.files import cache_folder
from gcahng.processes import copy_from_first
from gcahng.training.experiment import Experiment
from gcahng.training.features import backbone_settings, compute_once, digest_images, digest_network

LR, WEIGHT_DECAY = 4e-3, 1e-4
BATCH_SIZE = 64


def warm_start_embedder(experiment: Experiment, progress: Progress | None = None) -> None:
    """Train an experiment's backbone as a classifier of classes set aside, where configured."""
    config, dataset = experiment.config, experiment.warm_start_split
    section, embedder = config.embedder.warm_start, experiment.embedder
    if section is None or dataset is None:
        return
    if "backbone" in config.embedder.freeze:
        embedder.thaw_backbone()
    # Of several processes one trains; the others wait for its file, or train the same.
    warm_start(
        embedder.backbone,
        dataset,
        cache_folder() / "warm_starts",
        seed=config.seed,
        steps=section.steps,
        settings=backbone_settings(config),
        progress=progress,
    )
    copy_from_first([embedder.backbone], experiment.group)
    embedder.train_backbone(True)


def warm_start(
    backbone: nn.Module,
    dataset: ImageDataset,
    folder: Path,
    *,
    seed: int,
    steps: int = 500,
    settings: Any = (),
    progress: Progress | None = None,
) -> None:
    """Train a backbone in place to classify `dataset`, with a linear head that is discarded."""

    def train() -> dict[str, Tensor]:
        device, was_training = next(backbone.parameters()).device, backbone.training
        with torch.random.fork_rng([device] if device.type == "cuda" else []):
            torch.manual_seed(seed)
            _train(backbone.train(), dataset, steps, progress)
        backbone.train(was_training)
        weights = backbone.state_dict().items()
        return {name: value.detach().cpu().contiguous() for name, value in weights}

    digest = digest_network(backbone, settings, seed, steps, BATCH_SIZE, LR, WEIGHT_DECAY)
    digest.update(dataset.labels.numpy().tobytes())
    digest_images(digest, dataset)
    path = folder / f"warm_start-{digest.hexdigest()[:16]}.safetensors"
    backbone.load_state_dict(compute_once(path, train))


def _train(
    backbone: nn.Module, dataset: ImageDataset, steps: int, progress: Progress | None
) -> None:
    """Minimise the cross entropy over so many batches, each pass over the data in a new order."""
    order = RandomSampler(dataset, num_samples=steps * BATCH_SIZE)
    loader = ImageLoader(dataset, batch_size=BATCH_SIZE, sampler=order)
    kind = next(backbone.parameters())  # device and precision of the training
    head = nn.Linear(int(backbone.out_channels), dataset.num_classes).to(kind)  # type: ignore[arg-type]
    parameters = [*backbone.parameters(), *head.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=LR, weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LR, total_steps=steps)
    for step, (images, labels) in enumerate(loader, start=1):
        loss = F.cross_entropy(head(backbone(images.to(kind))), labels.to(kind.device))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if progress is not None:
            progress(step, steps)
    optimizer.zero_grad()
