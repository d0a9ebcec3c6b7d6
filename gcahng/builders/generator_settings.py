"""Which settings reach a generator; one that was chosen for it but has no effect is refused."""

from collections.abc import Iterator
from operator import attrgetter
from typing import Any

from gcahng.builders.blame import blame_setting
from gcahng.builders.effect import asks_for_something
from gcahng.config import ExperimentConfig
from gcahng.config.sections import GraphConfig, Section
from gcahng.generators import GENERATORS, NegativeGenerator, argument_names
from gcahng.graph.convs import CONVS, layer_arguments
from gcahng.registry import check_arguments

# Arguments of generators that have a setting of their own, which `generator.args` would override.
SETTINGS = {
    **{name: f"generator.graph.{name}" for name in ("conv", "layers", "heads", "path", "memory")},
    "edge_dropout": "generator.graph.dropout",
    "dropout": "generator.graph.dropout_rate",
    **{
        name: f"generator.{name}"
        for name in (
            *("alpha", "beta", "gamma", "synthetic_weight"),
            *("similarity_weight", "diversity_weight", "node_ce_weight"),
        )
    },
    "edge_heads": "quirks.edge_heads",
    "similarity_mask": "quirks.similarity_mask",
    "same_class_negatives": "quirks.same_class_negatives",
}
# The arguments of gca_hng that group settings.
_GROUPS = {
    "graph": ("conv", "layers", "heads", "path", "memory", "edge_dropout", "dropout", "edge_heads"),
    "weights": ("gamma", "similarity_weight", "diversity_weight", "node_ce_weight"),
    "quirks": ("similarity_mask", "same_class_negatives"),
}
_GROUPED = {name for members in _GROUPS.values() for name in members}
# Those that a graph passes on to its layers.
_OF_LAYERS = ("heads", "edge_heads", "dropout", "edge_dropout", "memory")


def accepted_settings(generator: type[NegativeGenerator]) -> list[str]:
    """Return the names of the arguments of a generator, with the members of each group."""
    names = argument_names(generator)
    return [one for name in names for one in _GROUPS.get(name, (name,))]


def grouped_arguments(values: dict[str, Any]) -> dict[str, Any]:
    """Put settings into the groups of arguments that gca_hng takes."""
    grouped = {name: value for name, value in values.items() if name not in _GROUPED}
    for group, members in _GROUPS.items():
        if found := {name: values[name] for name in members if name in values}:
            if group == "quirks":
                grouped[group] = [name for name, faithful in found.items() if faithful]
            else:
                grouped[group] = {name.removesuffix("_weight"): v for name, v in found.items()}
    return grouped


def argument(config: ExperimentConfig, name: str) -> Any:
    """Return the value that the settings give an argument of the generator."""
    path = SETTINGS[name]
    value = attrgetter(path)(config)
    if name == "layers" and isinstance(value, list):
        return [(one, {}) if isinstance(one, str) else (one.name, one.args) for one in value]
    if name == "edge_heads":
        assert config.generator is not None
        return 1 if value == "faithful" else config.generator.graph.heads
    return value == "faithful" if path.startswith("quirks.") else value


def check_generator_settings(config: ExperimentConfig) -> None:
    """Raise for an unknown generator, layer or argument, and for a setting without effect.

    A setting that a base file made for another generator is no mistake; it is ignored.

    Raises:
        ValueError: The message starts with the setting, and says which ones have an effect.
    """
    section = config.generator
    if section is None:
        for name in _chosen(config):
            raise ValueError(f"{SETTINGS[name]} has no effect: generator is null")
        return
    with blame_setting("generator.name"):
        known = accepted_settings(GENERATORS.find(section.name))
    _check_layers(section.graph)
    with blame_setting("generator.args"):
        for name in section.args:
            if name in SETTINGS:
                raise ValueError(f"{name!r} is set by {SETTINGS[name]}: set it there")
        own = [name for name in known if name not in SETTINGS]
        check_arguments(f"generator {section.name!r}", section.args, own)
    taken = [path for name, path in SETTINGS.items() if name in known]
    more = f"; in generator.args: {', '.join(own)}" if own else ""
    for name in _chosen(config):
        if name not in known:
            raise ValueError(
                f"{SETTINGS[name]} has no effect: generator {section.name!r} takes "
                f"{', '.join(taken) or 'no settings'}{more}"
            )
        if reason := _unused(name, config):
            raise ValueError(f"{SETTINGS[name]} has no effect: {reason}")


def settings_with_effect(config: ExperimentConfig) -> set[str]:
    """Return the keys in `SETTINGS` that have an effect with the experiment's generator.

    Example:
        >>> from gcahng.config import load_config
        >>> settings_with_effect(load_config("digits", ["generator.name=unmoved"]))
        {'generator.synthetic_weight'}
    """
    if config.generator is None:
        return set()
    known = accepted_settings(GENERATORS.find(config.generator.name))
    return {path for name, path in SETTINGS.items() if name in known and not _unused(name, config)}


def _chosen(config: ExperimentConfig) -> Iterator[str]:
    """Names of the arguments whose setting asks for something in this experiment."""
    for name, path in SETTINGS.items():
        *outer, last = path.split(".")
        section: Section | None = config
        for key in outer:
            section = None if section is None else getattr(section, key)
        if section is not None and asks_for_something(section, last):
            yield name


def _unused(name: str, config: ExperimentConfig) -> str:
    """Why the graph does not use a setting; empty if it does."""
    section = config.generator
    assert section is not None
    graph = section.graph
    if name == "conv" and (isinstance(graph.layers, list) or graph.layers == 0):
        return f"generator.graph.layers {'is 0' if graph.layers == 0 else 'lists the layers'}"
    if name == "memory" and graph.path == "sparse":
        return "generator.graph.path is sparse, and only the dense path has this choice"
    if name == "dropout" and graph.dropout == "off" and graph.dropout_rate:
        return "generator.graph.dropout is off"
    names = _layer_names(graph)
    # Without the quirk, the number of heads is also that of the edge attention.
    both = name == "heads" and config.quirks.edge_heads == "corrected"
    takers = {name, "edge_heads"} if both else {name}
    if name in _OF_LAYERS and not any(takers & {*layer_arguments(one)} for one in names):
        layers = ", ".join(dict.fromkeys(names)) or "it has none"
        return f"no layer of the graph ({layers}) takes {name!r}"
    return ""


def _layer_names(graph: GraphConfig) -> list[str]:
    if isinstance(graph.layers, int):
        return [graph.conv] * graph.layers
    return [layer if isinstance(layer, str) else layer.name for layer in graph.layers]


def _check_layers(graph: GraphConfig) -> None:
    with blame_setting("generator.graph.conv"):
        CONVS.find(graph.conv)
    for name in _layer_names(graph) if isinstance(graph.layers, list) else []:
        with blame_setting("generator.graph.layers"):
            CONVS.find(name)
