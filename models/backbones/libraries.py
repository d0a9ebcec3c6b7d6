"""Image classifiers of torchvision and timm without their heads, and where weights come from."""

import math
import os
import re
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.request import getproxies

import torchvision
from torch import Tensor, nn

from gcahng.models.weights import load_strictly, log_unused, read_weights, strip_prefixes
from gcahng.preparation import Preparation
from gcahng.reasons import first_line

TORCHVISION_HOST = "download.pytorch.org"
TIMM_HOST = "huggingface.co"
TIMM_FILES = ("model.safetensors", "pytorch_model.bin")
# Before the name of an installed package that brings one file of weights.
PACKAGE = "package:"
SUFFIXES = (".pth", ".pt", ".bin", ".safetensors")
# The first parameter in files of the packages efficientnet-pytorch and efficientnet-lite-pytorch,
# and timm's networks that compute the same: TensorFlow's padding and BatchNorm's eps.
EFFICIENTNET_STEM, EFFICIENTNETS = "_conv_stem.weight", "tf_efficientnet_"
# Arguments that load files, download, or return something other than the features of an image.
FOREIGN = re.compile(
    "num_classes|checkpoint_path|cache_dir|features_only|(feature|model)_cfg|pretrained_.*|weights_.*|.*_fn"
)
# Arguments in which the libraries take a text, the name of one of their own layers or methods.
NAMES = re.compile("(.*_)?(layer|pool|type|init|embed)")


def timm_preparation(model: str) -> Preparation:
    """Return the transform with which timm evaluates a model."""
    import timm
    from timm.data import resolve_data_config

    found = timm.get_pretrained_cfg(model)
    settings = resolve_data_config(pretrained_cfg={} if found is None else found.to_dict())
    if settings["crop_mode"] == "border":
        raise ValueError(f"timm's {model} takes pictures with a border, which is not done here")
    size = settings["input_size"][1:]
    resized = tuple(math.floor(side / settings["crop_pct"]) for side in size)
    whole = settings["crop_mode"] == "squash" or resized[0] != resized[1]
    return Preparation(
        rgb=True,
        resize=resized if whole else resized[0],
        size=size if size[0] != size[1] else size[0],
        mean=tuple(settings["mean"]),
        std=tuple(settings["std"]),
        interpolation=settings["interpolation"],
    )


def torchvision_preparation(model: str) -> Preparation:
    """Return the transform with which torchvision evaluates a model with its default weights."""
    steps = torchvision.models.get_model_weights(model).DEFAULT.transforms()
    (resize,), (size,) = steps.resize_size, steps.crop_size
    mean, std = tuple(steps.mean), tuple(steps.std)
    return Preparation(True, resize, size, mean, std, interpolation=steps.interpolation.value)


def torchvision_models() -> list[str]:
    """Return the names of torchvision's image classifiers."""
    return torchvision.models.list_models(module=torchvision.models)


def check_shaping(model: str, args: Mapping[str, Any]) -> None:
    """Raise a ValueError unless arguments shape a network, and name no file, address or code.

    They may come from a model that somebody else shared, and the libraries load some of what they
    are given: timm ran the code in the file of `checkpoint_path` before 1.0.31.
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
    """
    import timm

    check_shaping(f"timm's {model}", args)

    def make(from_hub: bool) -> nn.Module:
        with fetching(model, TIMM_HOST):
            if from_hub:
                _connect(model)
            network = timm.create_model(model, pretrained=from_hub, num_classes=0, **args)
        network.out_channels = getattr(network, "head_hidden_size", None) or network.num_features
        return network

    return build_with_weights(make, model, pretrained, weights)


def _connect(model: str) -> None:
    """Raise an OSError if timm's weights need a connection and there is none.

    Their library would try for a minute. Through a proxy or a mirror, it is left to try.
    """
    import timm
    from huggingface_hub import try_to_load_from_cache

    hub = getattr(timm.get_pretrained_cfg(model), "hf_hub_id", None)
    if not hub or getproxies() or "HF_ENDPOINT" in os.environ:
        return
    if not any(isinstance(try_to_load_from_cache(hub, file), str) for file in TIMM_FILES):
        socket.create_connection((TIMM_HOST, 443), timeout=5).close()


@contextmanager
def fetching(name: str, host: str) -> Iterator[None]:
    """Turn a failed download of pretrained weights from a host, or a mistake, into one sentence."""
    try:
        yield
    except OSError as error:
        reason = first_line(getattr(error, "reason", None) or error)
        raise ConnectionError(
            f"the pretrained weights of '{name}' could not be downloaded from {host} ({reason}): "
            "connect to the internet once (they are cached), or name a file (--weights PATH; in "
            "an experiment embedder.backbone.args.weights=PATH, or pretrained=false beside it)"
        ) from error
    except (TypeError, AttributeError, LookupError, RuntimeError, AssertionError) as error:
        reason = f"{type(error).__name__}: {first_line(error)}"
        raise ValueError(f"{name!r} cannot be built: {reason}") from error


def build_with_weights(
    make: Callable[[bool], nn.Module], name: str, pretrained: bool, weights: str | Path | None
) -> nn.Module:
    """Build a network and load its weights from a file if one is given.

    Args:
        make: Builds the network, with the library's weights if its argument is true.
        name: The network's name in error messages.
        pretrained: Whether to load the library's weights; ignored if `weights` is given.
        weights: A file with a state dict of the network, or `package:NAME` for the one in an
            installed package; a classification head in it is ignored.
    """
    network = make(pretrained and weights is None)
    if weights is not None:
        path = weights_path(weights)
        wanted = network.state_dict()
        state = strip_prefixes(read_weights(path), wanted)
        if EFFICIENTNET_STEM in state:
            state = _rename_efficientnet(state, wanted, name, path)
        log_unused(path, load_strictly(network, state, path, f"the backbone '{name}'"))
    return network


def weights_path(weights: str | Path) -> Path:
    """Return the file that `weights` names: a path, or `package:NAME` for an installed package.

    The package is found, not imported, so none of its code runs.
    """
    if not str(weights).startswith(PACKAGE):
        return Path(weights).expanduser()
    name = str(weights).removeprefix(PACKAGE).replace("-", "_")
    spec = find_spec(name) if name.isidentifier() else None
    if spec is None:
        raise ValueError(f"'{weights}': there is no installed Python package '{name}'")
    folders = [Path(folder) for folder in spec.submodule_search_locations or ()]
    files = [file for folder in folders for file in folder.rglob("*") if file.suffix in SUFFIXES]
    if len(files) != 1:
        raise ValueError(
            f"'{weights}': expected one file of weights in the package, found {len(files)}: give "
            "the path of a file"
        )
    return files[0]


def _rename_efficientnet(
    state: Mapping[str, Tensor], wanted: Mapping[str, Tensor], name: str, path: Path
) -> dict[str, Tensor]:
    """Give the parameters of TensorFlow's EfficientNet the names of timm's, in the same order.

    Timm's own networks of the same shapes compute something else.
    """
    if not name.startswith(EFFICIENTNETS):
        raise ValueError(
            f"'{path}' holds an EfficientNet of TensorFlow, which the backbone '{name}' does not "
            f"compute: choose the one of its size among timm/{EFFICIENTNETS}…"
        )
    ours = dict(zip(state, wanted, strict=False))
    if any(state[key].shape != wanted[name].shape for key, name in ours.items()):
        return dict(state)  # another size, whose names say so
    return {ours.get(key, key): value for key, value in state.items()}
