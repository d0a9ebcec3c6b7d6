"""Image classifiers of torchvision and timm without their classification heads."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torchvision
from PIL import Image
from torch import Tensor, nn
from torchvision.transforms.functional import to_pil_image

from gcahng.models.backbones.pretrained import build_with_weights, check_reachable, fetching, quiet

TORCHVISION_HOST = "download.pytorch.org"
TIMM_HOST = "huggingface.co"
TIMM_FILES = ("model.safetensors", "pytorch_model.bin")
# Of a picture that is longer, in shorter sides, the middle is used: the libraries would resize all
# of it before they crop, a line of 1 × 50,000 pixels to 256 × 12,800,000.
LONGEST = 50
# Arguments that load files, download, or return something other than one vector per image.
FOREIGN = re.compile(
    "checkpoint_path|cache_dir|features_only|(feature|model)_cfg|pretrained_.*|weights_.*|.*_fn"
)
# Arguments in which the libraries take a text, the name of one of their own layers or methods.
NAMES = re.compile("(.*_)?(layer|pool|type|init|embed)")


@dataclass(frozen=True)
class ImageSettings:
    """The images that a model was pretrained on.

    Attributes:
        size: Side in pixels.
        mean: Mean of each channel, for values in [0, 1].
        std: Standard deviation of each channel, for values in [0, 1].
        fixed: Whether the model takes images of one size only, set by its argument `img_size`.
    """

    size: int
    mean: Sequence[float]
    std: Sequence[float]
    fixed: bool


def timm_image_settings(model: str) -> ImageSettings | None:
    """Return what timm's data configuration says of a model's images; None if there is none."""
    import timm

    settings = timm.get_pretrained_cfg(model)
    if settings is None:
        return None
    size = settings.input_size[-1]
    return ImageSettings(size, settings.mean, settings.std, settings.fixed_input_size)


@dataclass(frozen=True)
class LibraryTransform:
    """How a library prepares a picture to evaluate one of its models.

    Attributes:
        steps: The library's transform of a PIL image in RGB.
        settings: What it was made from, as the library names it.
    """

    steps: Callable[[Image.Image], Tensor]
    settings: Mapping[str, Any]

    def __call__(self, image: Image.Image | Tensor) -> Tensor:
        """Transform an image or a uint8 tensor [C, H, W]; return [3, H, W]."""
        picture = to_pil_image(image) if isinstance(image, Tensor) else image
        return self.steps(_middle(picture if picture.mode == "RGB" else picture.convert("RGB")))


def _middle(image: Image.Image) -> Image.Image:
    """The middle of an image that is longer than `LONGEST`; any other unchanged."""
    most = LONGEST * min(image.size)
    if max(image.size) <= most:
        return image
    left, top = (max(side - most, 0) // 2 for side in image.size)
    return image.crop((left, top, image.width - left, image.height - top))


def timm_transform(model: str) -> LibraryTransform:
    """Return timm's own transform for the evaluation of a model."""
    import timm
    from timm.data import create_transform, resolve_data_config

    found = timm.get_pretrained_cfg(model)
    settings = resolve_data_config(pretrained_cfg={} if found is None else found.to_dict())
    return LibraryTransform(create_transform(**settings), settings)


def torchvision_transform(model: str) -> LibraryTransform:
    """Return torchvision's own transform for a model with its default weights."""
    steps = torchvision.models.get_model_weights(model).DEFAULT.transforms()
    names = ("resize_size", "crop_size", "mean", "std")
    settings = {name: getattr(steps, name) for name in names}
    return LibraryTransform(steps, settings | {"interpolation": steps.interpolation.value})


def timm_has_weights(model: str) -> bool:
    """Whether timm knows pretrained weights of a model."""
    import timm

    settings = timm.get_pretrained_cfg(model)
    return settings is not None and bool(settings.has_weights)


def torchvision_models() -> list[str]:
    """Return the names of torchvision's image classifiers."""
    return torchvision.models.list_models(module=torchvision.models)


def check_shaping(model: str, args: Mapping[str, Any]) -> None:
    """Raise unless arguments shape a network, and cannot name a file, an address or code.

    They may come from a model that somebody else shared, and the libraries load some of what they
    are given: timm ran the code in the file of `checkpoint_path` before 1.0.31.

    Raises:
        ValueError: With the name of the argument.

    Example:
        >>> check_shaping("timm's resnet18", {"in_chans": 1, "global_pool": "max"})
        >>> check_shaping("timm's resnet18", {"checkpoint_path": "model.pth"})
        Traceback (most recent call last):
            ...
        ValueError: timm's resnet18 takes no 'checkpoint_path' here, only what shapes the network...
    """
    for name, value in args.items():
        if FOREIGN.fullmatch(name):
            raise ValueError(
                f"{model} takes no {name!r} here, only what shapes the network; a file of weights "
                "is named by 'weights'"
            )
        is_name = isinstance(value, str) and NAMES.fullmatch(name) and re.fullmatch(r"\w*", value)
        if not (is_name or _is_plain(value)):
            raise ValueError(
                f"{model}: expected {name!r} as a number, true, false, a list of these, or the "
                f"library's name of a layer or method, got {value!r}"
            )


def _is_plain(value: object) -> bool:
    if isinstance(value, list | tuple):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, bool | int | float)


def torchvision_backbone(
    model: str, pretrained: bool = True, weights: str | Path | None = None, **args: Any
) -> nn.Module:
    """Build a torchvision classifier without its last linear layer.

    Args:
        model: The model's name in torchvision.
        pretrained: Load torchvision's default weights.
        weights: Load this file instead.
        **args: Further arguments of the model that shape it, see `check_shaping`.

    Shapes:
        `[N, 3, H, W]` to `[N, out_channels]`.

    Raises:
        ConnectionError: If the default weights cannot be downloaded.
        FileNotFoundError: If the file is missing.
        ValueError: If the model has no linear layer, an argument does not shape it, or the file
            does not fit.
    """
    check_shaping(f"torchvision's {model}", args)

    def make(from_hub: bool) -> nn.Module:
        with fetching(model, TORCHVISION_HOST):
            network = torchvision.models.get_model(
                model, weights="DEFAULT" if from_hub else None, **args
            )
        for name, child in list(network.named_children()):
            # Auxiliary heads would add outputs to the features in training mode.
            if name in ("aux1", "aux2", "AuxLogits") and child is not None:
                setattr(network, name, None)
                network.aux_logits = False
        linear = [name for name, part in network.named_modules() if isinstance(part, nn.Linear)]
        if not linear:
            raise ValueError(f"torchvision's {model} has no linear layer to take the features from")
        network.out_channels = network.get_submodule(linear[-1]).in_features
        parent, _, name = linear[-1].rpartition(".")
        setattr(network.get_submodule(parent), name, nn.Identity())
        return network

    return build_with_weights(make, model, pretrained, weights)


def timm_backbone(
    model: str, pretrained: bool = True, weights: str | Path | None = None, **args: Any
) -> nn.Module:
    """Build a timm classifier without its head; the pooling is timm's default for the model.

    Args:
        model: The model's name in timm, with or without a tag of pretrained weights.
        pretrained: Load timm's weights.
        weights: Load this file instead.
        **args: Further arguments of `timm.create_model` that shape the model, see `check_shaping`.

    Shapes:
        `[N, 3, H, W]` to `[N, out_channels]`.

    Raises:
        ConnectionError: If timm's weights are neither cached nor downloadable.
        FileNotFoundError: If the file is missing.
        ValueError: If an argument does not shape the model, or the file does not fit.
    """
    import timm

    check_shaping(f"timm's {model}", args)
    if "num_classes" in args:
        raise ValueError(
            "'num_classes' is not an argument here: the classifier is left out, and the width of "
            "the embedding is embedder.dim"
        )

    def make(from_hub: bool) -> nn.Module:
        if from_hub and not _is_cached(model):
            check_reachable(model, TIMM_HOST)
        with fetching(model, TIMM_HOST), quiet("huggingface_hub"):
            network = timm.create_model(model, pretrained=from_hub, num_classes=0, **args)
        network.out_channels = getattr(network, "head_hidden_size", None) or network.num_features
        return network

    return build_with_weights(make, model, pretrained, weights)


def _is_cached(model: str) -> bool:
    """Whether timm's weights of a model are already on this machine."""
    import timm
    from huggingface_hub import try_to_load_from_cache

    settings = timm.get_pretrained_cfg(model)
    hub = settings.hf_hub_id if settings is not None else None
    if not hub:
        return True  # not hosted on the hub
    repository = hub if not hub.endswith("/") else f"{hub}{model}"
    return any(isinstance(try_to_load_from_cache(repository, file), str) for file in TIMM_FILES)
