"""Weights whose file names the parameters as another implementation of the network does."""

from collections.abc import Mapping

from torch import Tensor

# The first parameter, in files of the packages efficientnet-pytorch and efficientnet-lite-pytorch.
EFFICIENTNET_STEM = "_conv_stem.weight"
# timm's networks that compute the same: TensorFlow's padding and BatchNorm's eps.
EFFICIENTNETS = "tf_efficientnet_"


def rename_parameters(
    state: Mapping[str, Tensor], wanted: Mapping[str, Tensor], name: str, path: object
) -> dict[str, Tensor]:
    """Rename the parameters of an EfficientNet of another program to those of timm's.

    The two programs keep the parameters in the same order, and the last part of each name (such
    as `weight`) and each shape are the same. A file in any other naming is returned unchanged.

    Args:
        state: The state dict of the file.
        wanted: The state dict of the network to fill, which may lack the classifier.
        name: The network's name.
        path: The file, for error messages.

    Raises:
        ValueError: If the file holds an EfficientNet of TensorFlow and the network is none:
            timm's and torchvision's own ones have the same shapes and compute something else.

    Example:
        >>> import torch
        >>> file = {"_conv_stem.weight": torch.zeros(8, 3, 3, 3), "_fc.bias": torch.zeros(10)}
        >>> network = {"conv_stem.weight": torch.zeros(8, 3, 3, 3)}
        >>> list(rename_parameters(file, network, "tf_efficientnet_lite0", "x.pth"))
        ['conv_stem.weight', '_fc.bias']
    """
    if EFFICIENTNET_STEM not in state:
        return dict(state)
    model = name.removeprefix("timm/")
    if not model.startswith(EFFICIENTNETS):
        raise ValueError(
            f"'{path}' holds an EfficientNet of TensorFlow, which the backbone '{name}' does not "
            f"compute: choose the one of its size among timm/{EFFICIENTNETS}…, such as "
            f"timm/{EFFICIENTNETS}lite0"
        )
    renamed = {}
    theirs = iter(wanted.items())
    for key, value in state.items():
        ours, expected = next(theirs, (key, value))
        if _last_part(key) != _last_part(ours) or value.shape != expected.shape:
            return dict(state)
        renamed[ours] = value
    return renamed


def _last_part(name: str) -> str:
    return name.rpartition(".")[2]
