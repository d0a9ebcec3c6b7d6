"""Validate the merged layers of a file, and keep in mind which settings its author chose."""

from collections.abc import Iterator
from typing import TypeVar

from pydantic import ValidationError

from gcahng.config.errors import explain
from gcahng.config.layers import Layers
from gcahng.config.sections import Section

Model = TypeVar("Model", bound=Section)
KeyPath = tuple[str, ...]

_GENERATOR = ("generator", "generator.name")
_LAYERS = tuple(f"generator.graph.{key}" for key in ("conv", "layers", "path", "dropout"))
# Settings below a key → the settings that decide whether they have an effect.
REASONS: dict[str, tuple[str, ...]] = {
    "generator": _GENERATOR,
    "generator.graph": _LAYERS,
    "quirks": ("quirks", *_GENERATOR, *_LAYERS),
    "loss": ("loss.name",),
    "optim.graph": _GENERATOR,
    "optim.classifier": _GENERATOR,
    "optim.embedder.schedule": ("optim.embedder.schedule.name",),
    "optim.graph.schedule": ("optim.graph.schedule.name",),
    "optim.classifier.schedule": ("optim.classifier.schedule.name",),
    "data.validation_seed": ("data.validation",),
    "data.views": ("embedder.freeze",),
    "batch.chunk": ("embedder.freeze",),
    "train.warmup_epochs": ("embedder.freeze",),
    "embedder.init": ("embedder.head",),
}


def validated(model: type[Model], layers: Layers) -> Model:
    """Make a model from the merged values of some layers.

    Its `model_fields_set` holds the settings that were chosen for this experiment. One that was
    inherited from a base file, for another component than the one there is now, is not among them.

    Raises:
        ValueError: If a value does not fit; one line for each mistake.
    """
    try:
        made = model.model_validate(layers.values)
    except ValidationError as error:
        raise ValueError(explain(error, model, layers.source, layers.origin)) from None
    for section, name, path in _settings(made):
        reasons = [
            tuple(reason.split("."))
            for key, others in REASONS.items()
            if f"{'.'.join(path)}.".startswith(f"{key}.")
            for reason in others
        ]
        if not layers.chosen(path, reasons):
            section.model_fields_set.discard(name)
    return made


def _settings(section: Section, prefix: KeyPath = ()) -> Iterator[tuple[Section, str, KeyPath]]:
    """Yield the settings that have a value, those in inner sections included."""
    for name in list(section.model_fields_set):
        value, path = getattr(section, name), (*prefix, name)
        if isinstance(value, Section):
            yield from _settings(value, path)
        else:
            yield section, name, path
