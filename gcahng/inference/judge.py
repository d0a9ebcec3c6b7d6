"""Embed a data set with a model, which need not have been trained on such data."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor

from gcahng.builders.blame import blame_setting
from gcahng.builders.images import LIBRARY, as_untrained, build_test_transform, open_plain
from gcahng.builders.networks import build_untrained
from gcahng.config import ExperimentConfig, with_data_root
from gcahng.data import DATASETS, ImageDataset, check_findable
from gcahng.evaluation.evaluate import Progress, embed
from gcahng.inference.embedder import TrainedEmbedder
from gcahng.inference.preprocessing import preprocessing_of
from gcahng.models.torch_state import usual_torch_state
from gcahng.runs.loading import EvaluatedRun, LoadedRun
from gcahng.runs.verdict import is_public


@usual_torch_state()
def embed_data(
    run: LoadedRun,
    data: str | None = None,
    root: Path | None = None,
    split: str = "test",
    *,
    progress: Progress | None = None,
) -> EvaluatedRun:
    """Embed a split of the data of a model's training, or of other data.

    The images get the model's own test transform. The result has the settings that were used.

    Args:
        run: The model.
        data: The data set; None: that of the training, which a backbone by name does not have.
        root: Folder of all data sets; None: as in training, and for other data the default.
        split: Which split.
        progress: As for `embed`.

    Raises:
        FileNotFoundError: If the data set's files are missing.
        ValueError: If there is no such data set or split, no query can find its class, or the
            model does not take images of all sizes.
    """
    config = run.config if data is None else _with_data(run.config, data)
    run = replace(run, config=config if root is None else with_data_root(config, root))
    dataset = open_plain(run.config, split)
    check_findable(dataset, split)
    if data is not None:
        dataset.transform = _own_transform(run, dataset)
    workers = run.config.data.workers
    return EvaluatedRun(
        run, dataset, embed(run.embedder, dataset, workers=workers, progress=progress)
    )


@usual_torch_state()
def embed_untrained(
    found: EvaluatedRun, *, progress: Progress | None = None
) -> tuple[ImageDataset, Tensor] | None:
    """Embed the same images by the model's backbone before training, as its library prepares them.

    Args:
        found: The model and its data set.
        progress: As for `embed`.

    Returns:
        The images and their features; None if the model is such a backbone itself, or its backbone
        was not pretrained, or is a class of yours.

    Raises:
        OSError: If its weights are missing or cannot be downloaded.
        ValueError: If they do not fit.
    """
    config = found.run.config
    if config.embedder.head == "none" or not is_public(config.embedder):
        return None
    images = as_untrained(config, found.dataset) or found.dataset
    backbone = build_untrained(config).to(found.embeddings.device)
    return images, embed(backbone, images, workers=config.data.workers, progress=progress)


def _with_data(config: ExperimentConfig, name: str) -> ExperimentConfig:
    """The settings with another data set, but the image transform of the training."""
    with blame_setting("--data"):
        DATASETS.find(name)
    transform = config.data.transform.model_copy(update={"name": build_test_transform(config)[0]})
    other: dict[str, Any] = {"name": name, "root": None, "args": {}, "transform": transform}
    return config.model_copy(update={"data": config.data.model_copy(update=other)})


def _own_transform(run: LoadedRun, dataset: ImageDataset) -> Callable[..., Any] | None:
    """The model's test transform, for the raw images of a data set."""
    name, transform = build_test_transform(run.config)
    if name == dataset.transform_name:
        return dataset.transform
    if name != LIBRARY and preprocessing_of(transform).size is None:
        raise ValueError(
            f"--data: the transform of the training, {name}, does not bring images to one size, so "
            f"'{run.path}' cannot embed those of {dataset.name}"
        )
    return TrainedEmbedder(run).image_transform
