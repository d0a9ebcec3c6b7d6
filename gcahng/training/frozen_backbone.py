"""Train on features that are computed once, where the backbone is frozen."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor, nn

from gcahng.builders.blame import blame_setting
from gcahng.config import data_root
from gcahng.data import FeatureLoader, ImageDataset
from gcahng.models import Embedder, ResidualHead, WhiteningHead
from gcahng.processes import copy_from_first
from gcahng.training.cache import settings_of
from gcahng.training.cached_features import FeatureCache
from gcahng.training.closed_form import ClosedForm, without_augmentation
from gcahng.training.experiment import Experiment

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class EmbeddedOnce:
    """What replaces the images of an experiment whose backbone is frozen.

    Attributes:
        loader: Class-balanced batches of features.
        head: Maps them to embeddings, in place of the embedder.
        evaluated: Features of the validation and the test images, by the name of the split.
    """

    loader: FeatureLoader
    head: nn.Module
    evaluated: dict[str, Tensor]


class HeadOfEmbedder(nn.Module):
    """The last layer of an embedder as an embedder of features."""

    def __init__(self, embedder: Embedder) -> None:
        super().__init__()
        self.backbone, self.embedder = nn.Identity(), embedder

    def forward(self, features: Tensor) -> Tensor:
        """Map features `[N, width]` to embeddings `[N, D]`."""
        return self.embedder.head(features)

    head = forward


def embed_once(experiment: Experiment, progress: Progress | None = None) -> EmbeddedOnce | None:
    """Compute or read all features of an experiment with a frozen backbone; None for others.

    Args:
        experiment: Its backbone must have its final weights.
        progress: Called with the number of images that are done, and of all images.
    """
    config, splits = experiment.config, experiment.splits
    if "backbone" not in config.embedder.freeze:
        return None
    plain: dict[str, ImageDataset] = {"test": splits.test}
    if splits.validation is not None:
        plain["validation"] = splits.validation
    views = config.data.views if config.train.epochs else 0
    images = views * len(splits.train) + sum(map(len, plain.values()))
    # Of several processes one computes; the others wait for its files, or compute the same.
    cache = _cache(experiment, progress, images)
    of_train = cache.features(splits.train, range(views))
    evaluated = {name: cache.features(split, [None])[0] for name, split in plain.items()}
    loader = FeatureLoader(splits.train, experiment.sampler, of_train, experiment.group)
    return EmbeddedOnce(loader, HeadOfEmbedder(experiment.embedder), evaluated)


def fit_head(experiment: Experiment, progress: Progress | None = None) -> None:
    """Fit a residual head to the features of the training images without augmentation.

    Arguments as of `embed_once`. Other heads need nothing.

    Raises:
        ValueError: If features are not finite; the message starts with the setting.
    """
    head, train = experiment.embedder.fc, experiment.splits.train
    if not isinstance(head, ResidualHead):
        return
    images = without_augmentation(experiment.config, train)
    (features,) = _cache(experiment, progress, len(images)).features(images, [None])
    with blame_setting("embedder.head"):
        head.fit(features)
    copy_from_first([head], experiment.group)


def whiten(experiment: Experiment, progress: Progress | None = None) -> ClosedForm | None:
    """Fit a whitening head, with its dimension if that is left open; None for other heads.

    Arguments as of `embed_once`.

    Returns:
        What it was fitted by, to fit it to all training classes in the end.

    Raises:
        ValueError: If it cannot be computed; the message starts with the setting.
    """
    embedder, splits = experiment.embedder, experiment.splits
    if not isinstance(embedder.fc, WhiteningHead):
        return None
    images = len(splits.train) + (0 if splits.validation is None else len(splits.validation))
    cache = _cache(experiment, progress, images)
    config = experiment.config
    form = ClosedForm(
        config,
        splits,
        lambda part: cache.features(part, [None])[0],
        config.embedder.dim,
        experiment.group,
    )
    embedder.take_head(form.fit())
    copy_from_first([embedder.fc], experiment.group)
    return form


def _cache(experiment: Experiment, progress: Progress | None, images: int) -> FeatureCache:
    config = experiment.config
    return FeatureCache(
        experiment.embedder.backbone,
        data_root(config) / ".features",
        settings=settings_of(config),
        workers=config.data.workers,
        progress=progress,
        images=images,
    )
