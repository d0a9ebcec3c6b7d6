"""Embed a data set with a model, which need not have been trained on such data."""

from copy import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor

from gcahng.builders.images import as_untrained, open_plain
from gcahng.builders.networks import build_untrained
from gcahng.config import ExperimentConfig, dump_config, load_config
from gcahng.config.experiment import with_data_root
from gcahng.config.layers import EXPERIMENTS
from gcahng.config.sections import TransformConfig
from gcahng.data import DATASETS, ImageDataset, check_findable
from gcahng.errors import blame_setting
from gcahng.evaluation.evaluate import Progress, embed
from gcahng.inference.embedder import TrainedEmbedder, names_backbone
from gcahng.runs.embedding import EvaluatedRun
from gcahng.runs.loading import refuse_user_classes
from gcahng.runs.verdict import is_public


def embed_data(
    model: TrainedEmbedder,
    data: str | None = None,
    root: Path | None = None,
    split: str = "test",
    *,
    progress: Progress | None = None,
) -> EvaluatedRun:
    """Embed a split of the data of a model's training, or of other data.

    The images get the model's own test transform. The result has the settings that were used.

    Raises:
        FileNotFoundError: If the data set's files are missing.
        ValueError: If there is no such data set or split, no query can find its class, or the
            model does not take images of all sizes.
    """
    run = model.run
    config = _settings(model, data)
    if data is None and not run.trust:
        refuse_user_classes(run.path, [config.data.name])
    config = config if root is None else with_data_root(config, root)
    dataset = open_plain(config, split)
    check_findable(dataset, split)
    if data is not None:
        dataset = prepared_for(model, dataset)
    found = embed(run.embedder, dataset, workers=config.data.workers, progress=progress)
    return EvaluatedRun(replace(run, settings=dump_config(config)), dataset, found)


def prepared_for(model: TrainedEmbedder, dataset: ImageDataset) -> ImageDataset:
    """View a data set as a model prepares pictures; a ValueError if it needs some of one size."""
    if model.run.spec.preparation.size is None and dataset.transform_name == "imagenet":
        raise ValueError(
            f"--data: the transform of '{model.run.path}' does not bring images to one size, so it "
            f"cannot embed those of {dataset.name}"
        )
    view = copy(dataset)
    view.transform = model.transform
    return view


def check_data(model: str, data: str | None) -> None:
    """Raise a ValueError unless there is data to judge a model on, before weights are fetched."""
    if data is None and names_backbone(model):
        raise ValueError(
            f"--data: name the data set to judge '{model}' on, such as --data folder --root photos"
        )


def _settings(model: TrainedEmbedder, data: str | None) -> ExperimentConfig:
    """The settings to open and measure the data by."""
    if data is None:
        if not model.run.settings:
            raise ValueError(
                f"--data: '{model.source}' was not trained here: name the data set to judge it on"
            )
        return model.config
    with blame_setting("--data"):
        DATASETS.find(data)
    if not model.run.settings:
        # The packaged file: a user's folder may have a photos.yaml of its own.
        return load_config(str(EXPERIMENTS / "photos.yaml"), [f"data.name={data}"])
    section = model.config.data
    changes: dict[str, Any] = {"name": data, "root": None, "args": {}}
    if not model.run.spec.preparation.rgb:
        changes["transform"] = TransformConfig()
    elif section.transform.name is None:
        changes["transform"] = section.transform.model_copy(update={"name": "imagenet"})
    other = section.model_copy(update=changes)
    return model.config.model_copy(update={"data": other})


def embed_untrained(
    found: EvaluatedRun, *, progress: Progress | None = None
) -> tuple[ImageDataset, Tensor] | None:
    """Embed the same images by the model's backbone before training, as its library prepares them.

    Returns:
        The images and their features; None if the model is such a backbone itself, or its backbone
        was not pretrained, or is a class of yours.
    """
    config = found.run.config
    if found.run.spec.head == "none" or not is_public(config.embedder):
        return None
    images = as_untrained(config, found.dataset) or found.dataset
    backbone = build_untrained(config).to(found.embeddings.device)
    return images, embed(backbone, images, workers=config.data.workers, progress=progress)
