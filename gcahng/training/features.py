"""What is computed once and kept in a cache, such as the features of a frozen backbone."""

import hashlib
import inspect
import os
import warnings
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.utils.data import Subset

from gcahng.config import ExperimentConfig
from gcahng.data import AugmentedView, ClassSubset, FeatureLoader, FileDataset, ImageDataset
from gcahng.data.datasets.base import shortest_side
from gcahng.evaluation.evaluate import BATCH_SIZE, Progress, embed
from gcahng.files import atomic_write, cache_folder
from gcahng.jobs.claim import file_lock
from gcahng.models import Embedder
from gcahng.models.backbones import ORIGINS
from gcahng.training.experiment import Experiment

Tensors = dict[str, Tensor]
# Images per batch on a CPU. Larger batches take twice the time, because the system then hands out
# fresh memory for the activations of every layer.
ON_CPU = 16
# Images in a file, a multiple of both sizes of a batch, so that the batches do not depend on it.
PART = 4096


def compute_once(path: Path, compute: Callable[[], Tensors]) -> Tensors:
    """Read the tensors of a file, or compute and write them; other processes wait for this one."""
    with ExitStack() as stack:
        # Without a lock two processes compute the same.
        with suppress(OSError):
            stack.enter_context(file_lock(path.with_suffix(".lock"), wait=True))
        if path.exists():
            try:
                return load_file(path)
            except (SafetensorError, OSError) as error:
                warnings.warn(f"'{path}' is computed again: {error}", stacklevel=2)
        tensors = compute()
        try:
            with atomic_write(path) as temporary:
                save_file(tensors, temporary)
        except (SafetensorError, OSError) as error:
            warnings.warn(f"'{path}' could not be kept: {error}", stacklevel=2)
        return tensors


def _source_of(thing: object) -> bytes:
    """The source file of an object's class, to notice that a user has changed it."""
    with suppress(OSError, TypeError):  # of a class that was typed into an interpreter
        return Path(inspect.getfile(type(thing))).read_bytes()
    return b""


def digest_network(network: nn.Module, *settings: Any) -> "hashlib._Hash":
    """Hash what decides a network's result: its code and weights, settings, torch, processor."""
    device = next(network.parameters()).device
    processor = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    facts = (network, settings, torch.__version__, processor)
    digest = hashlib.sha256(repr(facts).encode() + _source_of(network))
    for name, weight in network.state_dict().items():
        digest.update(name.encode() + weight.detach().cpu().contiguous().numpy().tobytes())
    return digest


def digest_images(digest: "hashlib._Hash", dataset: ImageDataset) -> None:
    """Add the images of a data set to a hash: path, size and time of a file, else the content."""
    digest.update(repr(dataset.transform).encode())
    chosen, shortest = np.arange(len(dataset)), shortest_side(dataset.transform)
    while isinstance(dataset, ClassSubset):
        chosen, dataset = dataset.indices.numpy()[chosen], dataset.dataset
    digest.update(_source_of(dataset))
    for index in chosen.tolist():
        if isinstance(dataset, FileDataset):
            path = os.path.abspath(dataset.paths[index])
            facts = os.stat(path)
            digest.update(os.fsencode(path) + repr((facts.st_size, facts.st_mtime_ns)).encode())
        else:
            image = np.asarray(dataset.load_reduced(index, shortest))
            digest.update(f"{image.shape} {image.dtype}".encode() + image.tobytes())


def backbone_settings(config: ExperimentConfig) -> tuple[Any, ...]:
    """The settings of an experiment that decide what its backbone makes of the data."""
    backbone, data = config.embedder.backbone, config.data
    args = {key: value for key, value in backbone.args.items() if key not in ORIGINS}
    return backbone.name, args, data.name, data.args


class FeatureCache:
    """Compute features, or read those that an earlier run kept in a folder."""

    def __init__(
        self,
        backbone: nn.Module,
        folder: Path,
        settings: Any = (),
        workers: int = 0,
        progress: Progress | None = None,
        images: int = 0,
    ) -> None:
        self.backbone, self.folder, self.workers = backbone, folder, workers
        self.progress, self.images, self.done = progress, images, 0
        self._digest = digest_network(backbone, settings, next(backbone.parameters()).dtype)

    @classmethod
    def of(cls, experiment: Experiment, progress: Progress | None, images: int) -> "FeatureCache":
        """Open the cache of an experiment's backbone as it is."""
        config = experiment.config
        backbone, folder = experiment.embedder.backbone, cache_folder() / "features"
        settings, workers = backbone_settings(config), config.data.workers
        return cls(backbone, folder, settings, workers, progress, images)

    def features(self, dataset: ImageDataset, views: Sequence[int | None]) -> list[Tensor]:
        """Features `[N, width]` on the CPU, for each view; None is the data set as it is."""
        digest = self._digest.copy()
        digest_images(digest, dataset)
        return [self._view(dataset, view, digest.copy()) for view in views]

    def _view(self, dataset: ImageDataset, view: int | None, digest: "hashlib._Hash") -> Tensor:
        digest.update(repr(view).encode())
        images: Any = dataset if view is None else AugmentedView(dataset, view)
        parts = []
        for start in range(0, len(dataset), PART):
            part = Subset(images, range(start, min(start + PART, len(dataset))))
            name = f"features-{digest.hexdigest()[:16]}-{start}.safetensors"
            found = compute_once(self.folder / name, partial(self._compute, part))
            parts.append(found["features"])
            self.done += len(part)
            self._report(0)
        return torch.cat(parts)

    def _compute(self, images: Subset[Any]) -> Tensors:
        on_cpu = next(self.backbone.parameters()).device.type == "cpu"
        found = embed(
            self.backbone,
            images,
            batch_size=ON_CPU if on_cpu else BATCH_SIZE,
            workers=self.workers,
            progress=lambda done, total: self._report(done),
        )
        # A copy, because tensors of inference mode cannot be trained on.
        return {"features": found.cpu().clone()}

    def _report(self, more: int) -> None:
        if self.progress is not None:
            self.progress(self.done + more, self.images)


class HeadOfEmbedder(nn.Module):
    """The last layer of an embedder as an embedder of features."""

    def __init__(self, embedder: Embedder) -> None:
        super().__init__()
        self.backbone, self.embedder = nn.Identity(), embedder

    def forward(self, features: Tensor) -> Tensor:
        """Map features `[N, width]` to embeddings `[N, D]`."""
        return self.embedder.head(features)

    head = forward


def embed_once(
    experiment: Experiment, progress: Progress | None = None
) -> tuple[FeatureLoader, Tensors]:
    """Compute or read all features of an experiment with a frozen backbone."""
    config, splits = experiment.config, experiment.splits
    plain: dict[str, ImageDataset] = {"test": splits.test}
    if splits.validation is not None:
        plain["validation"] = splits.validation
    views = config.data.views if config.train.epochs else 0
    images = views * len(splits.train) + sum(map(len, plain.values()))
    # Of several processes one computes; the others wait for its files, or compute the same.
    cache = FeatureCache.of(experiment, progress, images)
    of_train = cache.features(splits.train, range(views))
    evaluated = {name: cache.features(split, [None])[0] for name, split in plain.items()}
    batches, group = experiment.loader.batches, experiment.group
    return FeatureLoader(splits.train, batches, of_train, group), evaluated
