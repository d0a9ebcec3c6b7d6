"""Features of images by a backbone that is not trained, computed once and kept with the data."""

import hashlib
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor, nn
from torch.utils.data import Subset

from gcahng.data import AugmentedView, ImageDataset
from gcahng.evaluation.evaluate import BATCH_SIZE, embed
from gcahng.models.source_code import source_of
from gcahng.training.cache import computed_by, identity_of, keep, kept, locked, weights_of

Progress = Callable[[int, int], None]
NAME = "features"
# Images per batch on a CPU. Larger batches take twice the time, because the system then hands out
# fresh memory for the activations of every layer.
ON_CPU = 16
# Images in a file, a multiple of both sizes of a batch, so that the batches do not depend on it.
PART = 4096


class FeatureCache:
    """Compute features, or read those that an earlier run kept in a folder.

    A file holds the features of `PART` images of a data set, as they are or in one augmented view,
    so a computation that is stopped goes on after the last one. Its name depends on the backbone,
    its weights, the transform, and path, size and time of each image file (of images that are not
    files: their content), so what has changed is computed again.

    Args:
        backbone: Maps images to features; used in eval mode.
        folder: Where the files are kept.
        settings: Further settings that features depend on.
        workers: Data loading processes.
        progress: Called with the number of images that are done, and of all images.
        images: Number of all images, for `progress`.
    """

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
        kind = next(backbone.parameters())
        facts = (backbone, settings, kind.dtype, computed_by(kind.device))
        self._start = hashlib.sha256(repr(facts).encode() + source_of(backbone))
        for name, weight in weights_of(backbone).items():
            self._start.update(name.encode() + weight.contiguous().numpy().tobytes())

    def features(self, dataset: ImageDataset, views: Sequence[int | None]) -> list[Tensor]:
        """Features `[N, width]` on the CPU, for each view; None is the data set as it is."""
        digest = self._start.copy()
        digest.update(repr(dataset.transform).encode())
        for part in identity_of(dataset):
            digest.update(part)
        return [self._view(dataset, view, digest.copy()) for view in views]

    def _view(self, dataset: ImageDataset, view: int | None, digest: "hashlib._Hash") -> Tensor:
        digest.update(repr(view).encode())
        name = f"{NAME}-{digest.hexdigest()[:16]}"
        images: Any = dataset if view is None else AugmentedView(dataset, view)
        parts = []
        for start in range(0, len(dataset), PART):
            rows = range(start, min(start + PART, len(dataset)))
            path = self.folder / f"{name}-{start}.safetensors"
            parts.append(self._part(Subset(images, rows), path))
        return torch.cat(parts)

    def _part(self, images: Subset[Any], path: Path) -> Tensor:
        with locked(path):
            found = _restore(path, len(images))
            if found is None:
                found = self._compute(images)
                keep(path, {NAME: found}, "the features")
        self.done += len(images)
        self._report(0)
        return found

    def _compute(self, images: Subset[Any]) -> Tensor:
        on_cpu = next(self.backbone.parameters()).device.type == "cpu"
        found = embed(
            self.backbone,
            images,
            batch_size=ON_CPU if on_cpu else BATCH_SIZE,
            workers=self.workers,
            progress=lambda done, total: self._report(done),
        )
        # A copy, because tensors of inference mode cannot be trained on.
        return found.cpu().clone()

    def _report(self, more: int) -> None:
        if self.progress is not None:
            self.progress(self.done + more, self.images)


def _restore(path: Path, rows: int) -> Tensor | None:
    """Read features, or return None (with a warning if the file is damaged)."""
    try:
        found = kept(path)
        if found is None:
            return None
        features = found[0][NAME]
        if features.dim() != 2 or len(features) != rows:
            raise ValueError(f"expected {rows} rows, got {list(features.shape)}")
    except (SafetensorError, OSError, KeyError, ValueError) as error:
        warnings.warn(f"Computing the features '{path}' again: {error}.", stacklevel=4)
        return None
    return features
