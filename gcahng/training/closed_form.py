"""Set up the last layer from features: in closed form, or as they are for a residual head."""

from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from gcahng.builders.images import transform_of
from gcahng.config import ExperimentConfig
from gcahng.data import ClassSubset, ImageDataset
from gcahng.errors import blame_setting
from gcahng.evaluation.evaluate import Progress, scores_of_queries
from gcahng.models import ClassStatistics, ResidualHead, WhiteningHead, discriminants, whitening
from gcahng.processes import copy_from_first, from_first, rank
from gcahng.training.experiment import Experiment
from gcahng.training.features import FeatureCache

# What is tried where the settings leave it open: powers of two below the width of the features,
# and the width itself; the shrinkage by its formula, and two larger ones.
DIMENSIONS = (64, 128, 256, 512, 1024)
SHRINKAGES = (None, 0.1, 0.5)


class Candidate(NamedTuple):
    """A last layer to try."""

    dim: int
    shrinkage: float | None


class ClosedForm:
    """Fit a `WhiteningHead` to the features of an experiment's training images.

    The shrinkage, and the dimension if `dim` is None, are chosen on the validation classes; without
    them, the shrinkage is by its formula, and the dimension the width of the features.
    """

    def __init__(
        self, experiment: Experiment, features_of: Callable[[ImageDataset], Tensor], dim: int | None
    ) -> None:
        self.config, self.splits = experiment.config, experiment.splits
        # By all processes, and an image that cannot be read is no fault of the setting.
        self._features = {
            part: features_of(without_augmentation(self.config, part))
            for part in (self.splits.train, self.splits.validation)
            if part is not None
        }
        with blame_setting("embedder.head"):
            statistics = self._statistics(self.splits.train)
            chosen = self._choose(statistics, dim) if rank(experiment.group) == 0 else None
            self.chosen = Candidate(*from_first(chosen, experiment.group))
            self.head = self._fit(statistics)

    def fit_to_all(self) -> WhiteningHead:
        """Fit, with what was chosen, to all training classes, those held out among them."""
        parts = [self.splits.train]
        if self.splits.validation is not None and not self.splits.has_own_validation:
            parts.append(self.splits.validation)
        return self._fit(self._statistics(*parts))

    def _statistics(self, *parts: ImageDataset) -> ClassStatistics:
        width = self._features[parts[0]].size(1)
        statistics = ClassStatistics(width, sum(part.num_classes for part in parts))
        collected = 0
        for part in parts:
            statistics.add(self._features[part], part.labels + collected)
            collected += part.num_classes
        return statistics

    def _fit(self, statistics: ClassStatistics) -> WhiteningHead:
        with torch.random.fork_rng(devices=[]):  # a training goes on as without this measurement
            head = WhiteningHead(len(statistics.mean), self.chosen.dim)
        head.to(self._features[self.splits.train].dtype)
        head.fit(statistics, self.chosen.shrinkage)
        return head

    def _choose(self, statistics: ClassStatistics, dim: int | None) -> Candidate:
        """Return the candidate with the best figure on the validation classes."""
        width, validation = len(statistics.mean), self.splits.validation
        most = min(width, statistics.classes)
        dims = [width, *(dim for dim in DIMENSIONS if dim < most)] if dim is None else [dim]
        if validation is None:
            return Candidate(dims[0], None)
        directions = F.normalize(self._features[validation].cpu().double()) - statistics.mean
        found: dict[Candidate, float] = {}
        for shrinkage in SHRINKAGES:
            # All dimensions of a candidate are the first ones of this map; rotated by it, all of
            # them together have the similarities of whitening.
            rotated = directions @ discriminants(statistics, whitening(statistics, shrinkage)).T
            for dim in dims:
                scores = scores_of_queries(rotated[:, :dim], validation, self.config)
                found[Candidate(dim, shrinkage)] = scores.means()[self.config.eval.select]
        return max(found, key=lambda candidate: found[candidate])


def fit_head(experiment: Experiment, progress: Progress | None = None) -> None:
    """Fit a residual head to the features of the training images; other heads need nothing."""
    head = experiment.embedder.fc
    if not isinstance(head, ResidualHead):
        return
    images = without_augmentation(experiment.config, experiment.splits.train)
    (features,) = FeatureCache.of(experiment, progress, len(images)).features(images, [None])
    with blame_setting("embedder.head"):
        head.fit(features)
    copy_from_first([head], experiment.group)


def whiten(experiment: Experiment, progress: Progress | None = None) -> ClosedForm | None:
    """Fit a whitening head; return what fits it to all classes in the end, None for other heads."""
    embedder, splits = experiment.embedder, experiment.splits
    if not isinstance(embedder.fc, WhiteningHead):
        return None
    images = len(splits.train) + len(splits.validation or ())
    cache = FeatureCache.of(experiment, progress, images)
    dim = experiment.config.embedder.dim
    form = ClosedForm(experiment, lambda part: cache.features(part, [None])[0], dim)
    embedder.take_head(form.head)
    copy_from_first([embedder.fc], experiment.group)
    return form


def without_augmentation(config: ExperimentConfig, dataset: ImageDataset) -> ImageDataset:
    """Return a view of a data set with the test transform."""
    return ClassSubset(dataset, range(dataset.num_classes), transform_of(config, augment=False))
