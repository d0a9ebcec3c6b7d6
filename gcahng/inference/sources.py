"""Where a model comes from: a run, a file, the Hub, or a library of backbones."""

import json
from pathlib import Path
from typing import Any

from gcahng.builders.blame import blame_setting
from gcahng.builders.images import LIBRARY
from gcahng.config import load_config
from gcahng.config.layers import EXPERIMENTS
from gcahng.files import refuse_address
from gcahng.inference.hub import download_model, names_repository
from gcahng.models import BACKBONES, Embedder, build_backbone
from gcahng.models.backbones import has_pretrained_weights, own_transform
from gcahng.models.backbones.pretrained import UnreachableError, quiet
from gcahng.models.torch_state import usual_torch_state
from gcahng.models.weights import LOGGER
from gcahng.registry import names_class
from gcahng.runs.loading import LoadedRun, load_run, run_device
from gcahng.runs.published import load_published_run

LIBRARIES = ("timm/", "torchvision/")
# Endings of model files: such a name is a mistyped file, not a backbone.
FILES = (".pt", ".pth", ".safetensors")


def open_model(
    source: str | Path,
    weights: str | Path | None = None,
    *,
    last: bool = False,
    revision: str | None = None,
    trust: bool = False,
) -> LoadedRun:
    """Open what `load_embedder` opens, without the parts that embed single images."""
    refuse_address(source)
    name = str(source)
    backbone = names_backbone(name)
    on_hub = not backbone and names_repository(name)
    if weights is not None and not backbone:
        raise ValueError(
            f"--weights: '{name}' has weights of its own; the option is for a backbone, such as "
            "timm/resnet18"
        )
    if last and backbone:
        raise ValueError(f"--last: '{name}' is a backbone, which has no epochs")
    if revision is not None and not on_hub:
        raise ValueError(f"'revision' applies to a model on the Hub; '{name}' is not one")
    if backbone:
        return _open_backbone(name, None if weights is None else str(weights))
    path = download_model(name, revision) if on_hub else Path(source).expanduser()
    if path.suffix == ".pth":
        return load_published_run(path)
    return load_run(path, last=last, trust=trust)


def names_backbone(source: str) -> bool:
    """Whether this is the name of a backbone: there is no such path.

    Names with timm/ and torchvision/ are those of the libraries, never of the Hub. Classes of a
    user, `module.path:ClassName`, are not opened by name, since stores of strangers hold names.

    Raises:
        FileNotFoundError: If it can only be a backbone, and there is none of this name.

    Example:
        >>> [names_backbone(name) for name in ("timm/resnet18", "resnet18", "runs/a", "a.pth")]
        [True, True, False, False]
    """
    if Path(source).expanduser().exists() or names_class(source):
        return False
    if not source.startswith(LIBRARIES) and ("/" in source or source.endswith(FILES)):
        return False
    try:
        BACKBONES.find(source)
    except ValueError as error:
        # Without the list of what else a setting may name.
        unknown = str(error).partition(";")[0]
        raise FileNotFoundError(f"there is no file or folder '{source}', and {unknown}") from error
    return True


@usual_torch_state()
def _open_backbone(name: str, weights: str | None) -> LoadedRun:
    """Open a pretrained backbone, whose features are the embeddings."""
    if weights is None and not has_pretrained_weights(name):
        raise ValueError(
            f"'{name}' has no pretrained weights: name a file with --weights, or another backbone"
        )
    args: dict[str, Any] = {} if weights is None else {"weights": weights}
    try:
        # What else the file holds, such as a classification head, is of no use here.
        with blame_setting(name if weights is None else "--weights"), quiet(LOGGER.name):
            backbone = build_backbone(name, **args)
    except UnreachableError as error:
        raise ConnectionError(
            f"{error.failure}: connect to the internet once (they are cached), or name a file "
            "with --weights"
        ) from error
    embedder = Embedder(backbone, None, head="none")
    settings = [
        f"name={name.rpartition('/')[2]}",
        f"embedder.backbone={json.dumps({'name': name, 'args': args})}",
        "embedder.freeze=[]",
        "embedder.head=none",
        "embedder.finish=null",
        f"embedder.dim={embedder.embedding_dim}",
        "generator=null",
        "train.epochs=0",
        f"data.transform.name={'imagenet' if own_transform(name) is None else LIBRARY}",
    ]
    # The packaged file: a user's folder may have a photos.yaml of its own.
    config = load_config(str(EXPERIMENTS / "photos.yaml"), settings)
    return LoadedRun(Path(name), config, embedder.to(run_device(config)).eval(), None)
