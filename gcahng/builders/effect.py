"""Refuse settings that were chosen for an experiment but have no effect in it."""

from collections.abc import Iterator

from torch import nn

from gcahng.config import ExperimentConfig
from gcahng.config.sections import ScheduleConfig, Section
from gcahng.generators import NegativeGenerator

# What each learning-rate schedule uses.
_SCHEDULES = {"step": {"gamma", "every"}, "exponential": {"gamma"}}


def check_effect(
    config: ExperimentConfig, loss: nn.Module, generator: NegativeGenerator | None
) -> None:
    """Raise if a setting outside of the generator was chosen and has no effect.

    Settings of the generator are checked where it is built.

    Args:
        config: The experiment.
        loss: Its metric loss.
        generator: Its generator, or None.

    Raises:
        ValueError: The message starts with the setting.
    """
    for setting, reason in _without_effect(config, loss, generator):
        raise ValueError(f"{setting} has no effect: {reason}")


def trained_parts(loss: nn.Module, generator: NegativeGenerator | None) -> frozenset[str]:
    """Return which of loss, graph and classifier have parameters, so that their rates count.

    Example:
        >>> from gcahng.generators import GENERATORS
        >>> from gcahng.losses import NPairLoss, ProxyAnchorLoss
        >>> trained_parts(NPairLoss(), None)
        frozenset()
        >>> generator = GENERATORS.build("gca_hng", 8, 5)
        >>> sorted(trained_parts(ProxyAnchorLoss(5, 8), generator))
        ['classifier', 'graph', 'loss']
    """
    parameters = {"loss": loss.parameters()}
    if generator is not None:
        parameters["graph"] = generator.head_parameters()
        parameters["classifier"] = generator.classifier_parameters()
    return frozenset(part for part, found in parameters.items() if any(True for _ in found))


def _without_effect(
    config: ExperimentConfig, loss: nn.Module, generator: NegativeGenerator | None
) -> Iterator[tuple[str, str]]:
    trains = trained_parts(loss, generator)
    if _chosen(config.loss, {"lr"}) and "loss" not in trains:
        yield "loss.lr", f"metric loss {config.loss.name!r} has no trainable parameters"
    who = "generator is null" if config.generator is None else f"generator {config.generator.name}"
    optim = config.optim
    for name in _chosen(optim.graph, {"lr", "weight_decay"}):
        if "graph" not in trains:
            yield f"optim.graph.{name}", f"{who}: there is no graph network to train"
    for name in _chosen(optim.classifier, {"lr", "weight_decay"}):
        if "classifier" not in trains:
            yield f"optim.classifier.{name}", f"{who}: there is no classifier to train"
    schedules: dict[str, ScheduleConfig] = {
        "embedder": optim.embedder.schedule,
        "graph": optim.graph.schedule,
        "classifier": optim.classifier.schedule,
    }
    for part, schedule in schedules.items():
        for name in _chosen(schedule, {"gamma", "every"} - _SCHEDULES.get(schedule.name, set())):
            yield (
                f"optim.{part}.schedule.{name}",
                f"a {schedule.name} schedule does not use it (optim.{part}.schedule.name)",
            )
    if _chosen(config.data, {"validation_seed"}) and config.data.validation == 0:
        yield "data.validation_seed", "data.validation is 0, so no classes are held out"
    yield from _of_the_embedder(config)


def _of_the_embedder(config: ExperimentConfig) -> Iterator[tuple[str, str]]:
    if "backbone" in config.embedder.freeze:
        reason = "the backbone is frozen (embedder.freeze), and its features are computed before"
        for key in ("batch.chunk", "train.warmup_epochs"):
            section, _, name = key.partition(".")
            if _chosen(getattr(config, section), {name}):
                yield key, reason
    elif _chosen(config.data, {"views"}):
        yield "data.views", "only embedder.freeze=[backbone] keeps views; others are drawn anew"
    if config.embedder.finish and "backbone" in config.embedder.freeze:
        yield (
            "embedder.finish",
            "the backbone is frozen: use embedder.head=whitening with no epochs",
        )
    if _chosen(config.embedder, {"init"}) and config.embedder.head != "linear":
        yield "embedder.init", f"a {config.embedder.head} head starts in its own way"


def asks_for_something(section: Section, name: str) -> bool:
    """Whether a setting was chosen for this experiment, and neither null nor the default."""
    if name not in section.model_fields_set:
        return False
    value = getattr(section, name)
    return value is not None and value != type(section).model_fields[name].default


def _chosen(section: Section, names: set[str]) -> list[str]:
    """Which of these settings ask for something."""
    return sorted(name for name in names if asks_for_something(section, name))
