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
    """Raise if a setting of the loss, an optimizer or the validation split has no effect.

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


def _without_effect(
    config: ExperimentConfig, loss: nn.Module, generator: NegativeGenerator | None
) -> Iterator[tuple[str, str]]:
    if _chosen(config.loss, {"lr"}) and not any(True for _ in loss.parameters()):
        yield "loss.lr", f"metric loss {config.loss.name!r} has no trainable parameters"
    who = "generator is null" if config.generator is None else f"generator {config.generator.name}"
    optim = config.optim
    for name in _chosen(optim.graph, {"lr", "weight_decay"}):
        if generator is None or not any(True for _ in generator.head_parameters()):
            yield f"optim.graph.{name}", f"{who}: there is no graph network to train"
    for name in _chosen(optim.classifier, {"lr", "weight_decay"}):
        if generator is None or not any(True for _ in generator.classifier_parameters()):
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


def asks_for_something(section: Section, name: str) -> bool:
    """Whether a setting was chosen for this experiment, and neither null nor the default."""
    if name not in section.model_fields_set:
        return False
    value = getattr(section, name)
    return value is not None and value != type(section).model_fields[name].default


def _chosen(section: Section, names: set[str]) -> list[str]:
    """Which of these settings ask for something."""
    return sorted(name for name in names if asks_for_something(section, name))
