"""Image size, mean and standard deviation that a pretrained backbone expects."""

from typing import Any

from gcahng.builders.blame import blame_setting
from gcahng.config import ExperimentConfig
from gcahng.data import DATASETS
from gcahng.data.transforms import IMAGENET_MEAN, IMAGENET_SIZE, IMAGENET_STD
from gcahng.models.backbones import image_settings

DEFAULTS = {"size": IMAGENET_SIZE, "mean": list(IMAGENET_MEAN), "std": list(IMAGENET_STD)}


def adopt_image_settings(config: ExperimentConfig) -> ExperimentConfig:
    """Fill in the image settings of timm's data configuration where the experiment has none.

    Applies to timm's models with the `imagenet` transform. `size`, `mean` and `std` that differ
    from the transform's defaults become arguments of `data.transform.train` and `test`; values
    that the experiment sets take precedence; a size that it sets for one of the two holds for
    both. If it sets another image size and the model has a fixed one, such as a ViT, the model is
    built for that size with `img_size`.

    Returns:
        The completed experiment, which records what was used; applying this again changes nothing.

    Raises:
        ValueError: If the backbone or the data set is unknown; the message starts with the setting.

    Example:
        >>> from gcahng.config import load_config
        >>> config = load_config("photos", ["embedder.backbone.name=timm/vit_tiny_patch16_224"])
        >>> adopt_image_settings(config).data.transform.test
        {'mean': [0.5, 0.5, 0.5], 'std': [0.5, 0.5, 0.5], 'reduced_jpeg': True}
    """
    transform, backbone = config.data.transform, config.embedder.backbone
    with blame_setting("data.name"):
        name = transform.name or DATASETS.find(config.data.name).transform_name
    with blame_setting("embedder.backbone.name"):
        expected = image_settings(backbone.name)
    if name != "imagenet" or expected is None:
        return config
    sizes = [args["size"] for args in (transform.test, transform.train) if "size" in args]
    args = dict(backbone.args)
    size = sizes[0] if sizes else _first(args.get("img_size", expected.size))
    if sizes and expected.fixed and size != expected.size:
        args.setdefault("img_size", size)
    filled = {"size": size, "mean": list(expected.mean), "std": list(expected.std)}
    filled = {key: value for key, value in filled.items() if value != DEFAULTS[key]}
    images = {"train": filled | transform.train, "test": filled | transform.test}
    transform = transform.model_copy(update=images)
    section = config.embedder.model_copy(
        update={"backbone": backbone.model_copy(update={"args": args})}
    )
    data = config.data.model_copy(update={"transform": transform})
    return config.model_copy(update={"data": data, "embedder": section})


def _first(size: Any) -> Any:
    """The height of a size that is given as (height, width)."""
    return size[0] if isinstance(size, list | tuple) and size else size
