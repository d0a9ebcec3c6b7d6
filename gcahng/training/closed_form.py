"""The last layer in closed form: its width and shrinkage, chosen on validation classes."""

from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gcahng.builders.blame import blame_setting
from gcahng.builders.images import Splits, transform_of
from gcahng.config import ExperimentConfig
from gcahng.data import ClassSubset, ImageDataset
from gcahng.evaluation.evaluate import retrieval_figures
from gcahng.models import ClassStatistics, WhiteningHead, discriminants, whitening
from gcahng.processes import Group, from_first, rank

# What is tried where the settings leave it open: powers of two below the width of the features,
# and the width itself; the shrinkage by its formula, and two larger ones.
DIMENSIONS = (64, 128, 256, 512, 1024)
SHRINKAGES = (None, 0.1, 0.5)


class Candidate(NamedTuple):
    """A last layer to try.

    Attributes:
        dim: Embedding dimension.
        shrinkage: As of `WhiteningHead.fit`.
    """

    dim: int
    shrinkage: float | None


class ClosedForm:
    """Fit a `WhiteningHead` to the features of an experiment's training images.

    Args:
        config: The experiment.
        splits: The images.
        features_of: Returns the features [N, width] of a data set, by the backbone as it is.
        dim: Embedding dimension; None: chosen on the validation classes. The shrinkage is chosen
            there as well. Without validation classes: the width of the features, and the shrinkage
            by its formula.
        group: The processes that train together, of which the first one chooses.
    """

    def __init__(
        self,
        config: ExperimentConfig,
        splits: Splits,
        features_of: Callable[[ImageDataset], Tensor],
        dim: int | None,
        group: Group = None,
    ) -> None:
        self.config, self.splits, self.features_of, self.dim = config, splits, features_of, dim
        self.group = group
        self.chosen: Candidate | None = None
        self._fitted: WhiteningHead | None = None
        self._known: dict[int, Tensor] = {}

    def fit(self) -> WhiteningHead:
        """Choose dimension and shrinkage, and fit to the classes that are trained on.

        Raises:
            ValueError: If it cannot be computed; the message starts with the setting.
        """
        if self._fitted is None:
            # By all processes, and an image that cannot be read is no fault of the setting.
            for part in filter(None, (self.splits.train, self.splits.validation)):
                self._features(part)
            with blame_setting("embedder.head"):
                statistics = self._statistics(self.splits.train)
                chosen = self._choose(statistics) if rank(self.group) == 0 else None
                self.chosen = Candidate(*from_first(chosen, self.group))
                self._fitted = self._head(statistics)
        return self._fitted

    def fit_to_all(self) -> WhiteningHead:
        """Fit, with what `fit` chose, to all training classes, those held out among them."""
        parts = [self.splits.train]
        if self.splits.validation is not None and not self.splits.has_own_validation:
            parts.append(self.splits.validation)
        return self._head(self._statistics(*parts))

    def _statistics(self, *parts: ImageDataset) -> ClassStatistics:
        classes, collected = sum(part.num_classes for part in parts), 0
        statistics: ClassStatistics | None = None
        for part in parts:
            features = self._features(part)
            statistics = statistics or ClassStatistics(features.size(1), classes)
            statistics.add(features, part.labels + collected)
            collected += part.num_classes
        assert statistics is not None
        return statistics

    def _features(self, part: ImageDataset) -> Tensor:
        if id(part) not in self._known:
            self._known[id(part)] = self.features_of(without_augmentation(self.config, part))
        return self._known[id(part)]

    def _head(self, statistics: ClassStatistics) -> WhiteningHead:
        assert self.chosen is not None
        with torch.random.fork_rng(devices=[]):  # a training goes on as without this measurement
            head = WhiteningHead(len(statistics.mean), self.chosen.dim)
        head.to(self._features(self.splits.train).dtype)
        head.fit(statistics, self.chosen.shrinkage)
        return head

    def _choose(self, statistics: ClassStatistics) -> Candidate:
        """Return the candidate with the best figure on the validation classes."""
        width, validation = len(statistics.mean), self.splits.validation
        if self.dim is not None:
            dims = [self.dim]
        else:
            most = min(width, statistics.classes)
            dims = [width, *(dim for dim in DIMENSIONS if dim < most)]
        if validation is None:
            return Candidate(dims[0], None)
        directions = F.normalize(self._features(validation).cpu().double()) - statistics.mean
        found: dict[Candidate, float] = {}
        for shrinkage in SHRINKAGES:
            # All dimensions of a candidate are the first ones of this map; rotated by it, all of
            # them together have the similarities of whitening.
            rotated = directions @ discriminants(statistics, whitening(statistics, shrinkage)).T
            for dim in dims:
                figures = retrieval_figures(rotated[:, :dim], validation, self.config)
                found[Candidate(dim, shrinkage)] = figures[self.config.eval.select]
        return max(found, key=lambda candidate: found[candidate])


def without_augmentation(config: ExperimentConfig, dataset: ImageDataset) -> ImageDataset:
    """Return a view of a data set with the test transform."""
    plain = transform_of(config, dataset, augment=False)
    return ClassSubset(dataset, range(dataset.num_classes), plain)


def check_closed_form(config: ExperimentConfig, splits: Splits, backbone: nn.Module) -> None:
    """Raise before any long work if the training images do not determine a closed form.

    Raises:
        ValueError: If the settings ask for one; the message starts with the setting.
    """
    section = config.embedder
    if section.head != "whitening" and section.finish is None:
        return
    dim = section.dim if section.head == "whitening" else None
    width = int(backbone.out_channels)  # type: ignore[arg-type]
    classes, images = splits.train.num_classes, len(splits.train)
    if images <= classes:
        raise ValueError(
            f"embedder: a closed form learns how images of a class vary, but {images} training "
            f"images are of {classes} classes: add images"
        )
    if dim is not None and classes <= dim < width:
        raise ValueError(
            f"embedder.dim: expected at most {classes - 1} with {classes} training classes, or "
            f"{width}, the width of the features, for embedder.head=whitening (got {dim})"
        )
