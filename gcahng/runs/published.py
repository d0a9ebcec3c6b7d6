"""Open the authors' published checkpoints."""

from pathlib import Path

from gcahng.builders.networks import build_embedder, describe_embedder
from gcahng.config import dump_config, load_config
from gcahng.models.published import BACKBONE_NAMES, split_published_state
from gcahng.models.weights import load_strictly, log_unused, read_weights
from gcahng.runs.loading import LoadedRun

# Number of training classes → data set: all that a published checkpoint says about its data.
DATA_SETS = {98: "cars", 100: "cub", 3997: "inshop", 11318: "sop"}
# Backbone, as the published set-ups name it → a key that only this one has.
BACKBONE_KEYS = {
    "googlenet": "backbone.conv1.conv.weight",
    "resnet50": "backbone.model.conv1.weight",
    "dino": "backbone.cls_token",
}
LAST_LINEAR = "fc.1.weight"


def load_published_run(path: str | Path) -> LoadedRun:
    """Open the embedder of a published checkpoint with the settings of its published set-up.

    Without a classifier that tells the data set, the settings are those for CUB-200-2011, from
    which the others differ in training only. Unused keys of the file are logged.

    Args:
        path: A `.pth` (or `.safetensors`) file with the published names.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is damaged, holds more than weights or has another backbone.

    Example:
        >>> import torch
        >>> run = load_published_run("dino.pth")
        >>> run.embedder(torch.zeros(1, 3, 224, 224)).shape
        torch.Size([1, 384])
    """
    path, state = Path(path), read_weights(path)
    try:
        parts = split_published_state(state)
    except ValueError as error:
        raise ValueError(f"'{path}' is not a published GCA-HNG checkpoint: {error}") from error
    backbone = next((name for name, key in BACKBONE_KEYS.items() if key in parts.embedder), None)
    if backbone is None:
        known = ", ".join(BACKBONE_NAMES)
        raise ValueError(f"'{path}' has none of the published backbones ({known})")
    weight = parts.classifier.get("weight")
    classes = None if weight is None else len(weight)
    data_set = DATA_SETS.get(classes or 0, "cub")
    dim = len(parts.embedder[LAST_LINEAR]) if LAST_LINEAR in parts.embedder else 1
    overrides = ["generator=null", f"embedder.dim={dim}"]
    settings = load_config(f"paper/{data_set}_{backbone}", overrides)
    embedder = build_embedder(settings, pretrained=False)
    unused = load_strictly(embedder, parts.embedder, path, f"the embedder of {backbone}")
    graph, classifier = [*parts.graph, *parts.unused], parts.classifier
    rest = {"gnn": len(graph), "softmax_classifier": len(classifier)}
    counted = [f"{name}.* ({count} keys)" for name, count in rest.items() if count]
    log_unused(path, [*(f"feature_extractor.{key}" for key in unused), *counted])
    spec = describe_embedder(settings)
    return LoadedRun(path, spec, embedder.eval(), dump_config(settings), num_classes=classes)
