"""The authors' published checkpoints: open their embedder, or make a run of them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gcahng.builders.networks import build_embedder, build_generator, describe_embedder
from gcahng.config import ExperimentConfig, dump_config, load_config
from gcahng.generators import HardNegativeGenerator
from gcahng.models import Embedder
from gcahng.models.published import BACKBONE_NAMES, PublishedState, split_published_state
from gcahng.models.torch_state import usual_torch_state
from gcahng.models.weights import listed, load_strictly, log_unused, read_weights
from gcahng.runs.checkpoint import save_checkpoint
from gcahng.runs.embedding import write_shared_model
from gcahng.runs.folder import RunFolder
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


@usual_torch_state()
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
    path = Path(path)
    parts = _read(path)
    backbone, classes = _backbone(parts, path), _num_classes(parts)
    data_set = "cub" if classes is None else DATA_SETS.get(classes, "cub")
    dim = len(parts.embedder[LAST_LINEAR]) if LAST_LINEAR in parts.embedder else 1
    overrides = ["generator=null", f"embedder.dim={dim}"]
    settings = load_config(f"paper/{data_set}_{backbone}", overrides)
    embedder = build_embedder(settings, pretrained=False)
    log_unused(path, [*_fill(embedder, parts, path, backbone), *_rest(parts)])
    spec = describe_embedder(settings)
    return LoadedRun(path, spec, embedder.eval(), dump_config(settings), num_classes=classes)


@usual_torch_state()
def import_checkpoint(
    path: str | Path,
    run: str | Path | None = None,
    config: str | None = None,
    overrides: Sequence[str] = (),
) -> tuple[ExperimentConfig, RunFolder]:
    """Make a run from a published checkpoint: embedder, graph and classifier.

    Args:
        path: As for `load_published_run`.
        run: The run's folder; default `<output>/<name>-published`.
        config: Its experiment; by default the published set-up with this backbone and number of
            classes.
        overrides: `key.path=value` settings, such as `data.root=DIR`.

    Returns:
        The run's configuration and folder. A file without graph or classifier becomes a run without
        a generator.

    Raises:
        FileExistsError: If the folder is not free.
        ValueError: If the file does not fit the experiment.
    """
    parts = _read(path)
    name = config or f"paper/{_data_set(parts, path)}_{_backbone(parts, path)}"
    whole = bool(parts.graph and parts.classifier)
    settings = load_config(name, [*overrides, *([] if whole else ["generator=null"])])
    classes = _num_classes(parts)
    data = settings.data.name
    expected = {name: count for count, name in DATA_SETS.items()}.get(data)
    if None not in (classes, expected) and classes != expected:
        raise ValueError(
            f"'{path}' was trained on {classes} classes, but {data} has {expected} to train on: "
            "name the experiment that it belongs to with --config"
        )
    folder = RunFolder(Path(run or Path(settings.output) / f"{settings.name}-published"))
    folder.check_free()
    embedder = build_embedder(settings, pretrained=False)
    unused = _fill(embedder, parts, path, name)
    state: dict[str, Any] = {"embedder": embedder.state_dict()}
    generator = None if classes is None else build_generator(settings, classes)
    if isinstance(generator, HardNegativeGenerator):
        _fill_generator(generator, parts, path)
        state["generator"] = generator.state_dict()
        unused += parts.unused
    else:
        unused += _rest(parts)
    log_unused(path, unused)
    folder.create(settings, imported=str(path))
    state |= {"config": dump_config(settings), "num_classes": classes, "epoch": None}
    state["spec"] = describe_embedder(settings).to_dict()
    for target in (folder.best, folder.last):
        save_checkpoint(target, state)
    write_shared_model(folder.path, embedder, settings)
    return settings, folder


def _read(path: str | Path) -> PublishedState:
    state = read_weights(path)
    try:
        return split_published_state(state)
    except ValueError as error:
        raise ValueError(f"'{path}' is not a published GCA-HNG checkpoint: {error}") from error


def _fill(embedder: Embedder, parts: PublishedState, path: str | Path, what: str) -> list[str]:
    """Fill the embedder; return the published names of the keys that it does not use."""
    unused = load_strictly(embedder, parts.embedder, path, f"the embedder of {what}")
    return [f"feature_extractor.{key}" for key in unused]


def _fill_generator(
    generator: HardNegativeGenerator, parts: PublishedState, path: str | Path
) -> None:
    more = load_strictly(generator.graph, parts.graph, path, "the generator's graph")
    if more:
        raise ValueError(
            f"'{path}' has more of a graph than the generator's {len(generator.graph.layers)} "
            f"layers, such as {listed(more)}: make as many layers as the file has"
        )
    load_strictly(generator.classifier, parts.classifier, path, "the generator's classifier")


def _rest(parts: PublishedState) -> list[str]:
    """The keys that were not asked for, counted."""
    graph = len(parts.graph) + len(parts.unused)
    counts = {"gnn": graph, "softmax_classifier": len(parts.classifier)}
    return [f"{name}.* ({count} keys)" for name, count in counts.items() if count]


def _backbone(parts: PublishedState, path: str | Path) -> str:
    for backbone, mark in BACKBONE_KEYS.items():
        if mark in parts.embedder:
            return backbone
    raise ValueError(
        f"'{path}' has none of the published backbones ({', '.join(BACKBONE_NAMES)}); name the "
        "experiment it belongs to with --config"
    )


def _data_set(parts: PublishedState, path: str | Path) -> str:
    classes = _num_classes(parts)
    if classes not in DATA_SETS:
        found = "no classifier" if classes is None else f"{classes} classes"
        raise ValueError(
            f"'{path}' has {found}, so it does not say which data set it is for; name the "
            "experiment it belongs to with --config, such as paper/cub_resnet50"
        )
    return DATA_SETS[classes]


def _num_classes(parts: PublishedState) -> int | None:
    weight = parts.classifier.get("weight")
    return None if weight is None else len(weight)
