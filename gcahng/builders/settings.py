"""Settings that are checked and completed before what the components need is imported.

torch, and what is around it, takes seconds.
"""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from gcahng.arguments import check_names
from gcahng.config import ExperimentConfig, load_config
from gcahng.config.json_schema import GIVEN, written_arguments
from gcahng.data import DATASETS, TRANSFORMS
from gcahng.errors import blame_setting
from gcahng.generators import GENERATORS
from gcahng.graph import CONVS
from gcahng.losses import LOSSES
from gcahng.models import BACKBONES
from gcahng.models.backbones import timm_settings
from gcahng.registry import Registry


def load_checked(path: str | Path, overrides: Iterable[str] = ()) -> ExperimentConfig:
    """Read an experiment as `load_config`, and check the names in it."""
    config = load_config(path, overrides)
    check_component_names(config)
    return config


def check_component_names(config: ExperimentConfig) -> None:
    """Raise for a wrong name of a component or of an argument, as building it would, but at once.

    What only shows in an import is left to the building: names of models of other libraries, what a
    class of yours takes, and values.
    """
    for registry, kind, place, name, arguments in components(config):
        with blame_setting(f"{place}.name"):
            registry.check_name(name)
        takes = written_arguments(kind, name)
        for key, given in arguments.items():
            if takes is not None:
                names = [one for one in given if one not in GIVEN]
                check_names(f"{place}.{key}: {registry.kind} {name!r}", names, takes)
    if config.generator is not None and config.generator.name == "gca_hng":
        graph = config.generator.args.get("graph")
        # As far as they are in the form that is expected.
        graph = graph if isinstance(graph, dict) else {}
        layers = graph.get("layers")
        for layer in [graph.get("conv"), *(layers if isinstance(layers, list) else [])]:
            chosen = layer.get("name") if isinstance(layer, dict) else layer
            with blame_setting("generator.args"):
                if isinstance(chosen, str):
                    CONVS.check_name(chosen)


#: A registry, its kind in the schema, and a component's place, name and arguments by their key.
_Component = tuple[Registry[Any], str, str, str, Mapping[str, Mapping[str, Any]]]


def components(config: ExperimentConfig) -> Iterator[_Component]:
    """Yield the components of an experiment, except a transform that it does not name."""
    data, backbone, generator = config.data, config.embedder.backbone, config.generator
    yield DATASETS, "data", "data", data.name, {"args": data.args}
    transform = data.transform
    if transform.name not in (None, "library"):
        parts = {"train": transform.train, "test": transform.test}
        yield TRANSFORMS, "transforms", "data.transform", transform.name, parts
    yield BACKBONES, "backbones", "embedder.backbone", backbone.name, {"args": backbone.args}
    yield LOSSES, "losses", "loss", config.loss.name, {"args": config.loss.args}
    if generator is not None:
        yield GENERATORS, "generators", "generator", generator.name, {"args": generator.args}


def adopt_image_settings(config: ExperimentConfig) -> ExperimentConfig:
    """Fill in the image settings of timm's data configuration where the experiment has none.

    Applies to timm's models with the `imagenet` transform. `size`, `mean` and `std` that differ
    from the transform's defaults become arguments of `data.transform.train` and `test`; what the
    experiment sets takes precedence, a size for both. A model of another fixed size, such as a ViT,
    is built for it with `img_size`. Applying this again changes nothing.
    """
    transform, backbone = config.data.transform, config.embedder.backbone
    with blame_setting("data.name"):
        DATASETS.check_name(config.data.name)
    with blame_setting("embedder.backbone.name"):
        expected = timm_settings(backbone.name)
    if expected is None:
        return config
    with blame_setting("data.name"):
        name = transform.name or DATASETS.find(config.data.name).transform_name
    if name != "imagenet":
        return config
    from gcahng.preparation import IMAGENET_MEAN, IMAGENET_SIZE, IMAGENET_STD

    defaults = {"size": IMAGENET_SIZE, "mean": list(IMAGENET_MEAN), "std": list(IMAGENET_STD)}
    sizes = [args["size"] for args in (transform.test, transform.train) if "size" in args]
    args, side = dict(backbone.args), expected.input_size[-1]
    built = args.get("img_size", side)  # (height, width), or both in one
    size = sizes[0] if sizes else built[0] if isinstance(built, list | tuple) else built
    if sizes and expected.fixed_input_size and size != side:
        args.setdefault("img_size", size)
    filled = {"size": size, "mean": list(expected.mean), "std": list(expected.std)}
    filled = {key: value for key, value in filled.items() if value != defaults[key]}
    images = {"train": filled | transform.train, "test": filled | transform.test}
    return config.changed(data={"transform": images}, embedder={"backbone": {"args": args}})
