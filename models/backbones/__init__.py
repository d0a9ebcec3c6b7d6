"""Networks from images `[N, C, H, W]` to features `[N, out_channels]`."""

import inspect
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from gcahng.registry import Library, Registry, imported_on_use, names_class

if TYPE_CHECKING:
    from torch import nn

    from gcahng.models.backbones.published_backbones import ResNet50
    from gcahng.models.backbones.small_conv import SmallConv
    from gcahng.preparation import Preparation
else:
    __getattr__ = imported_on_use(__name__)

# Arguments that say where a backbone's weights are from.
ORIGINS = ("weights", "pretrained")


def _in_libraries(name: str) -> "Callable[..., nn.Module] | None":
    """Find a model of torchvision or timm; for a bare name, torchvision takes precedence."""
    from gcahng.models.backbones import libraries

    library, _, model = name.rpartition("/")
    if library in ("", "torchvision") and model in libraries.torchvision_models():
        return partial(libraries.torchvision_backbone, model)
    if library in ("", "timm"):
        import timm

        if timm.is_model(model):
            return partial(libraries.timm_backbone, model)
    return None


def _library_names() -> list[str]:
    import timm

    from gcahng.models.backbones.libraries import torchvision_models

    return [*torchvision_models(), *timm.list_models()]


BACKBONES: "Registry[Callable[..., nn.Module]]" = Registry(
    "backbone",
    {
        "dino_vits16": "gcahng.models.backbones.published_backbones:dino_vits16",
        "googlenet": "gcahng.models.backbones.published_backbones:googlenet",
        "resnet50": "gcahng.models.backbones.published_backbones:ResNet50",
        "small_conv": "gcahng.models.backbones.small_conv:SmallConv",
    },
    user_base="torch.nn:Module",
    library=Library(
        _in_libraries,
        _library_names,
        "a model of torchvision or timm, such as torchvision/convnext_tiny or "
        "timm/vit_base_patch16_224.dino",
    ),
)

__all__ = [
    "BACKBONES",
    "ORIGINS",
    "ResNet50",
    "SmallConv",
    "build_backbone",
    "has_pretrained_weights",
    "own_transform",
    "starts_pretrained",
    "timm_settings",
]


def build_backbone(name: str, *, untrained: bool = False, **args: Any) -> "nn.Module":
    """Build the backbone `name`; its attribute `out_channels` is the width of its features.

    Args:
        name: A key of `BACKBONES`, or a model of torchvision or timm: `torchvision/NAME`,
            `timm/NAME`, or the bare name, for which torchvision takes precedence; or
            `module.path:ClassName` for one of your own, with an integer `out_channels`.
        untrained: Ignore `pretrained` and `weights` in `args` and use random weights, because
            other weights will be loaded afterwards.
        **args: Further arguments of the backbone.

    Raises:
        ConnectionError: If pretrained weights cannot be downloaded.
        FileNotFoundError: If the file `weights` is missing.
        ValueError: If the name or an argument is unknown, `weights` does not fit, or there is no
            `out_channels`.

    Example:
        >>> import torch
        >>> backbone = build_backbone("small_conv", in_channels=1)
        >>> backbone(torch.zeros(2, 1, 32, 32)).shape
        torch.Size([2, 128])
    """
    parameters = inspect.signature(BACKBONES.find(name)).parameters
    if untrained:
        without = dict(zip(ORIGINS, (None, False), strict=True))
        args = {**args, **{key: value for key, value in without.items() if key in parameters}}
    backbone: nn.Module = BACKBONES.build(name, **args)
    width = getattr(backbone, "out_channels", None)
    if not isinstance(width, int):
        raise ValueError(
            f"Expected backbone {name!r} with an integer attribute 'out_channels', the width of "
            f"its features (got {width!r})"
        )
    return backbone


def _library_of(name: str) -> tuple[str, str]:
    """Return the library of a backbone and its model; empty for one of this project or of yours."""
    BACKBONES.check_name(name)
    if name in BACKBONES or names_class(name):
        return "", ""
    found: Any = BACKBONES.find(name)
    return ("timm" if found.func.__name__ == "timm_backbone" else "torchvision"), found.args[0]


def timm_settings(name: str) -> Any:
    """Return what timm says of a model's weights; None of one without, or that is not timm's.

    Example:
        >>> timm_settings("timm/vit_tiny_patch16_224").input_size
        (3, 224, 224)
        >>> timm_settings("resnet50") is None
        True
    """
    library, model = _library_of(name)
    if library != "timm":
        return None
    import timm

    return timm.get_pretrained_cfg(model)


def own_transform(name: str) -> "Preparation | None":
    """Return the transform with which a library evaluates its pretrained model; else None.

    Example:
        >>> from PIL import Image
        >>> own_transform("timm/tf_efficientnet_lite0")(Image.new("RGB", (500, 400))).shape
        torch.Size([3, 224, 224])
    """
    library, model = _library_of(name)
    if not library:
        return None
    from gcahng.models.backbones.libraries import timm_preparation, torchvision_preparation

    return timm_preparation(model) if library == "timm" else torchvision_preparation(model)


def has_pretrained_weights(name: str) -> bool:
    """Whether a backbone can start from pretrained weights of its library.

    Example:
        >>> has_pretrained_weights("timm/resnet18"), has_pretrained_weights("small_conv")
        (True, False)
    """
    if _library_of(name)[0] == "timm":
        return bool(getattr(timm_settings(name), "has_weights", False))
    return "pretrained" in inspect.signature(BACKBONES.find(name)).parameters


def starts_pretrained(name: str, args: Mapping[str, Any]) -> bool:
    """Whether a backbone starts from pretrained weights; a class of yours does with `weights`."""
    if args.get("weights") is not None:
        return True
    return args.get("pretrained", True) and not names_class(name) and has_pretrained_weights(name)
