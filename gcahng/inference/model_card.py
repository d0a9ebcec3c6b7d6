"""The model card: what a shared model is, how good it is, and how to use it."""

import re
from pathlib import Path
from typing import Any

import yaml
from huggingface_hub import EvalResult, ModelCard, ModelCardData
from huggingface_hub.repocard import metadata_load
from jinja2 import Environment, PackageLoader, StrictUndefined

from gcahng.config import ExperimentConfig, dump_config
from gcahng.inference.hub import LIBRARY
from gcahng.inference.preprocessing import Preprocessing, Size
from gcahng.runs.folder import library_version
from gcahng.runs.loading import user_classes

TASK = "image-feature-extraction"
NO_LICENSE = (
    "Not stated yet. Fill in `license:` at the top of this file, and this section, before you "
    "publish the model. The licenses of the training images and of pretrained weights may limit "
    "the choice."
)


def model_card(
    config: ExperimentConfig,
    figures: dict[str, Any] | None,
    steps: Preprocessing,
    source: str,
    license: str | None = None,
) -> str:
    """Write the model card of a shared model.

    Args:
        config: The settings to publish.
        figures: As from `figures_of`; None if nothing was measured.
        steps: What is done to an image.
        source: What `load_embedder` is to be called with.
        license: Such as `mit`; None leaves a sentence that asks for it.

    Returns:
        Markdown that starts with the metadata that the Hugging Face Hub reads.

    Example:
        >>> from gcahng.config import load_config
        >>> card = model_card(load_config("digits"), None, Preprocessing(), "me/digits", "mit")
        >>> card.splitlines()[:3]
        ['---', 'library_name: gcahng', 'license: mit']
    """
    # Markdown, so nothing is escaped; a missing value is an error.
    templates = Environment(
        loader=PackageLoader("gcahng.inference"),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        autoescape=False,
    )
    return templates.get_template("model_card.md.jinja").render(
        front_matter=_front_matter(config, figures, license),
        config=config,
        data=_data(config, figures),
        figures=figures,
        input=_input(steps),
        imported=user_classes(config, ("data", "embedder")),
        license=license,
        no_license=NO_LICENSE,
        recipe=dump_config(config).strip(),
        source=source,
        version=library_version("gcahng") or "",
    )


def is_card(path: Path) -> bool:
    """Whether a file is the model card of a model of this library.

    Raises:
        ValueError: If the metadata at its top cannot be read.
    """
    return _metadata(path).get("library_name") == LIBRARY


def license_of(path: Path) -> str | None:
    """The license in a model card; None if there is no card, or none in it.

    Raises:
        ValueError: If the metadata at its top cannot be read.
    """
    return _metadata(path).get("license")


def with_license(path: Path, license: str | None) -> str:
    """The text of a model card with a license filled in; None: unchanged."""
    text = path.read_text(encoding="utf-8")
    if license is None or license == license_of(path):
        return text
    card = ModelCard(text)
    card.data["license"] = license
    return str(card).replace(NO_LICENSE, license)


def with_source(card: str, source: str) -> str:
    """The text of a model card that loads the model from where it is now.

    >>> with_source('model = gcahng.load_embedder("photos")', "me/photos")
    'model = gcahng.load_embedder("me/photos")'
    """
    return re.sub(r'load_embedder\("[^"]*"\)', lambda _: f'load_embedder("{source}")', card)


def _metadata(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        return metadata_load(path) or {}
    except (ValueError, yaml.YAMLError) as error:
        raise ValueError(f"the metadata at the top of '{path}' cannot be read: mend it") from error


def _front_matter(
    config: ExperimentConfig, figures: dict[str, Any] | None, license: str | None
) -> str:
    results = [] if figures is None else _results(figures)
    data = ModelCardData(
        license=license,
        library_name=LIBRARY,
        pipeline_tag=TASK,
        tags=["image-retrieval", "metric-learning"],
        model_name=config.name,
        eval_results=results or None,
    )
    return data.to_yaml().strip()


def _results(figures: dict[str, Any]) -> list[EvalResult]:
    return [
        EvalResult(
            task_type=TASK,
            dataset_type=figures["dataset"],
            dataset_name=figures["dataset"],
            dataset_split=figures["split"],
            metric_type=name,
            metric_value=value,
        )
        for name, value in figures["metrics"].items()
    ]


def _data(config: ExperimentConfig, figures: dict[str, Any] | None) -> str:
    name = config.data.name
    if not figures or not (classes := figures["train_classes"]):
        return name
    images = figures["train_images"]
    return f"{name}: {classes} classes" + (f", {images} images" if images else "")


def _input(steps: Preprocessing) -> str:
    """The image transform in words."""
    words = [] if steps.shortest_side is None else ["large JPEGs decoded at a reduced size"]
    if isinstance(steps.resize, int):
        words.append(f"shorter side resized to {steps.resize} pixels")
    elif steps.resize is not None:
        words.append(f"resized to {_by(steps.resize)} pixels")
    if steps.size is not None:
        words.append(f"centre cropped to {_by(steps.size)}")
    if steps.mean:
        words.append(f"normalised with mean {list(steps.mean)} and std {list(steps.std)}")
    return ", ".join(words)


def _by(size: Size) -> str:
    """Height × width."""
    height, width = (size, size) if isinstance(size, int) else size
    return f"{height} × {width}"
