"""Networks from images `[N, C, H, W]` to features `[N, out_channels]`."""

import difflib
import inspect
from collections.abc import Callable
from functools import partial
from typing import Any

from torch import nn

from gcahng.models.backbones.dino import dino_vits16
from gcahng.models.backbones.googlenet import googlenet
from gcahng.models.backbones.libraries import (
    timm_backbone,
    torchvision_backbone,
    torchvision_models,
)
from gcahng.models.backbones.resnet50 import ResNet50
from gcahng.models.backbones.small_conv import SmallConv

BACKBONES: dict[str, Callable[..., nn.Module]] = {
    "dino_vits16": dino_vits16,
    "googlenet": googlenet,
    "resnet50": ResNet50,
    "small_conv": SmallConv,
}

__all__ = ["BACKBONES", "ResNet50", "SmallConv", "build_backbone", "find_backbone"]


def find_backbone(name: str) -> Callable[..., nn.Module]:
    """What builds the backbone `name`.

    Args:
        name: A key of `BACKBONES`, else a model of torchvision or timm: `torchvision/NAME`,
            `timm/NAME`, or the bare name, which torchvision answers before timm.

    Raises:
        ValueError: If nobody knows the name; the sentence lists what comes close.
    """
    if name in BACKBONES:
        return BACKBONES[name]
    library, _, model = name.rpartition("/")
    if library in ("", "torchvision") and model in torchvision_models():
        return partial(torchvision_backbone, model)
    if library in ("", "timm"):
        import timm

        if timm.is_model(model):
            return partial(timm_backbone, model)
    raise ValueError(f"unknown backbone {name!r}{_hint(name)}")


def build_backbone(name: str, *, untrained: bool = False, **args: Any) -> nn.Module:
    """Build the backbone `name`; its width is its attribute `out_channels`.

    Args:
        name: As for `find_backbone`.
        untrained: Leave pretrained weights out, whatever `args` say: others will be loaded.
        **args: The backbone's own arguments.

    Raises:
        ConnectionError: If pretrained weights are out of reach.
        ValueError: If the name or an argument is unknown.
    """
    make = find_backbone(name)
    signature = inspect.signature(make)
    if untrained and "pretrained" in signature.parameters:
        args = {**args, "pretrained": False, "weights": None}
    try:
        signature.bind(**args)
    except TypeError as error:
        known = ", ".join(signature.parameters)
        raise ValueError(f"The backbone '{name}' has {error}; it takes {known}.") from error
    return make(**args)


def _hint(name: str) -> str:
    import timm

    ours, others = sorted(BACKBONES), [*torchvision_models(), *timm.list_models()]
    near = difflib.get_close_matches(name.rpartition("/")[2], [*ours, *others], n=1)
    meant = f" (did you mean {near[0]!r}?)" if near else ""
    return (
        f"{meant}; choose one of {', '.join(ours)}, or a model of torchvision or timm, such as "
        "torchvision/convnext_tiny or timm/vit_base_patch16_224.dino"
    )
