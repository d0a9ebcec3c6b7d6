"""The model card: what a shared model is, how good it is, and how to use it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from huggingface_hub import EvalResult, ModelCard, ModelCardData
from huggingface_hub.repocard import metadata_load

from gcahng.config import ExperimentConfig, dump_config
from gcahng.inference.hub import LIBRARY
from gcahng.models.artifact import EmbedderSpec, library_version
from gcahng.preparation import Preparation, Size
from gcahng.registry import names_class

TASK = "image-feature-extraction"
TEMPLATE = Path(__file__).parent / "templates" / "model_card.md.jinja"


def model_card(
    spec: EmbedderSpec,
    dim: int,
    config: ExperimentConfig | None,
    figures: Mapping[str, Any] | None,
    source: str,
    license: str | None = None,
) -> str:
    """Write the model card of a shared model.

    Args:
        spec: What the model consists of.
        dim: Its embedding dimension.
        config: The settings of its training to publish; None for a backbone.
        figures: As from `figures_of`; None if nothing was measured.
        source: What `load_embedder` is to be called with.
        license: Such as `mit`; None leaves a sentence that asks for it.

    Returns:
        Markdown that starts with the metadata that the Hugging Face Hub reads.

    Example:
        >>> spec = EmbedderSpec("grey", "small_conv", {}, "linear", 8, False, Preparation())
        >>> model_card(spec, 8, None, None, "me/grey", "mit").splitlines()[:3]
        ['---', 'library_name: gcahng', 'license: mit']
    """
    data = ModelCardData(
        license=license,
        library_name=LIBRARY,
        pipeline_tag=TASK,
        tags=["image-retrieval", "metric-learning"],
        model_name=spec.name,
        eval_results=None if figures is None else _results(figures),
    )
    card = ModelCard.from_template(
        data,
        str(TEMPLATE),
        spec=spec,
        dim=dim,
        config=config,
        figures=figures,
        input=_describe(spec.preparation),
        imported=names_class(spec.backbone),
        license=license,
        recipe=config and dump_config(config).strip(),
        source=source,
        version=library_version("gcahng") or "",
    )
    return f"{card.content.rstrip()}\n"


def is_card(path: Path) -> bool:
    """Tell whether a file is the model card of a model of this library.

    Raises:
        ValueError: If the metadata at its top cannot be read.
    """
    return _metadata(path).get("library_name") == LIBRARY


def license_of(path: Path) -> str | None:
    """Read the license in a model card; None if there is no card, or none in it.

    Raises:
        ValueError: If the metadata at its top cannot be read.
    """
    return _metadata(path).get("license")


def _metadata(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        return metadata_load(path) or {}
    except (ValueError, yaml.YAMLError) as error:
        raise ValueError(f"the metadata at the top of '{path}' cannot be read: mend it") from error


def _results(figures: Mapping[str, Any]) -> list[EvalResult]:
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


def _describe(steps: Preparation) -> str:
    """Say in words what is done to an image."""
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
