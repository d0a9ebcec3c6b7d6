"""Pretrain a small backbone by classifying classes that are set aside for it."""

import hashlib
import warnings
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from torch import Tensor, nn
from torch.utils.data import RandomSampler

from gcahng.config import data_root
from gcahng.data import ImageDataset, ImageLoader
from gcahng.models.source_code import source_of
from gcahng.processes import copy_from_first
from gcahng.training.cache import (
    computed_by,
    identity_of,
    keep,
    kept,
    locked,
    settings_of,
    weights_of,
)
from gcahng.training.experiment import Experiment

WEIGHT_DECAY = 1e-4
BATCH_SIZE = 64
ACCURACY_STEPS = 50

Progress = Callable[[int, int, float], None]


def warm_start_embedder(experiment: Experiment, progress: Progress | None = None) -> None:
    """Train an experiment's backbone as a classifier of classes set aside, where configured.

    Args:
        experiment: Its embedder is trained in place; weights are cached with the data.
        progress: As for `warm_start`.
    """
    config, dataset = experiment.config, experiment.warm_start_split
    section, embedder = config.embedder.warm_start, experiment.embedder
    if section is None or dataset is None:
        return
    if "backbone" in config.embedder.freeze:
        embedder.thaw_backbone()
    # Of several processes one trains; the others wait for its cache, or train the same.
    warm_start(
        embedder.backbone,
        dataset,
        seed=config.seed,
        steps=section.steps,
        cache=data_root(config) / "warm_starts",
        settings=settings_of(config),
        progress=progress,
    )
    copy_from_first([embedder.backbone], experiment.group)
    embedder.train_backbone(True)


def warm_start(
    backbone: nn.Module,
    dataset: ImageDataset,
    *,
    seed: int,
    steps: int = 500,
    batch_size: int = BATCH_SIZE,
    lr: float = 4e-3,
    cache: str | Path | None = None,
    settings: Any = (),
    progress: Progress | None = None,
) -> float:
    """Train a backbone in place to classify `dataset`, with a linear head that is discarded.

    Torch's global random state is restored afterwards, so the training that follows is the same
    whether the weights were trained now or read from `cache`.

    Args:
        backbone: Maps images to `[N, out_channels]`.
        dataset: Images of classes that are in no other split, with a transform.
        seed: Seeds the order of images, their augmentation and the head.
        steps: Optimizer steps, at least 2.
        batch_size: Images in a step, at least 2.
        lr: Peak of the one-cycle learning rate.
        cache: A folder where trained weights are stored and looked up; None: no cache. A file
            there is for all that decides the weights: the initial ones, the arguments, the images,
            and the code of backbone and data set.
        settings: Further settings that they depend on.
        progress: Called after each step with the step (from 1), `steps` and the loss.

    Returns:
        The training accuracy in [0, 1] over the last 50 steps.

    Raises:
        ValueError: If `steps` or `batch_size` is too small or the data set has fewer classes
            than 2.
    """
    _check_sizes(steps, batch_size, dataset.num_classes)
    # Passes over the data until the steps are done, each in a new order.
    order = RandomSampler(dataset, num_samples=steps * batch_size)
    loader = ImageLoader(dataset, batch_size=batch_size, sampler=order)

    def train() -> float:
        with _seeded(seed, backbone):
            return _train(backbone, dataset.num_classes, loader, lr, progress)

    if cache is None:
        return train()
    digest = _digest(backbone, dataset, settings, seed, steps, batch_size, lr)
    return _cached(Path(cache) / f"warm_start-{digest}.safetensors", backbone, train)


def _check_sizes(steps: int, batch_size: int, num_classes: int) -> None:
    if steps < 2 or batch_size < 2 or num_classes < 2:
        raise ValueError(
            "A warm start needs at least 2 steps, 2 images in a batch and 2 classes (got "
            f"{steps}, {batch_size} and {num_classes})."
        )


@contextmanager
def _seeded(seed: int, backbone: nn.Module) -> Iterator[None]:
    """Seed torch and set the backbone to training mode; undo both at the end."""
    device, was_training = next(backbone.parameters()).device, backbone.training
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        backbone.train()
        yield
    backbone.train(was_training)


def _train(
    backbone: nn.Module,
    num_classes: int,
    loader: ImageLoader,
    lr: float,
    progress: Progress | None,
) -> float:
    """Minimise the cross entropy over `loader`; return the accuracy over its last steps."""
    kind = next(backbone.parameters())  # device and precision of the training
    head = nn.Linear(int(backbone.out_channels), num_classes).to(kind)  # type: ignore[arg-type]
    parameters = [*backbone.parameters(), *head.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=lr, weight_decay=WEIGHT_DECAY)
    steps = len(loader)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, lr, total_steps=steps)
    hits: deque[Tensor] = deque(maxlen=ACCURACY_STEPS)
    for step, (images, labels) in enumerate(loader, start=1):
        labels = labels.to(kind.device)
        logits = head(backbone(images.to(kind)))
        loss = F.cross_entropy(logits, labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        hits.append((logits.argmax(dim=1) == labels).float().mean())
        if progress is not None:
            progress(step, steps, loss.item())
    optimizer.zero_grad()
    return float(torch.stack(list(hits)).mean())


def _digest(backbone: nn.Module, dataset: ImageDataset, *settings: Any) -> str:
    """Hash everything that determines the trained weights, the initial weights included."""
    device = next(backbone.parameters()).device
    by = computed_by(device)
    facts = (backbone, dataset, dataset.transform, settings, WEIGHT_DECAY, by)
    digest = hashlib.sha256(repr(facts).encode() + source_of(backbone))
    digest.update(dataset.labels.numpy().tobytes())
    for part in identity_of(dataset):
        digest.update(part)
    for name, weight in weights_of(backbone).items():
        digest.update(name.encode() + weight.numpy().tobytes())
    return digest.hexdigest()[:16]


def _cached(path: Path, backbone: nn.Module, train: Callable[[], float]) -> float:
    """Load the weights, or train and store them; other processes wait for the one that trains."""
    with locked(path):
        accuracy = _restore(backbone, path)
        if accuracy is None:
            accuracy = train()
            weights = dict(weights_of(backbone))
            keep(path, weights, "the warm start", accuracy=repr(accuracy))
        return accuracy


def _restore(backbone: nn.Module, path: Path) -> float | None:
    """Load cached weights and return their accuracy, or None (with a warning if damaged)."""
    try:
        if (found := kept(path)) is None:
            return None
        weights, facts = found
        accuracy = float(facts["accuracy"])
        backbone.load_state_dict(weights)
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        warnings.warn(f"Training the warm start '{path}' again: {error}.", stacklevel=3)
        return None
    return accuracy
