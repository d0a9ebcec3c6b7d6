"""What a cell changes in the reference: the settings that have an effect in it."""

import pytest

from gcahng.builders.effect import trained_parts
from gcahng.builders.networks import build_generator, build_loss
from gcahng.config import ExperimentConfig, load_config
from gcahng.studies.changes import changed_settings


def _experiment(*overrides: str) -> tuple[ExperimentConfig, frozenset[str]]:
    config = load_config("digits", overrides)
    return config, trained_parts(build_loss(config, 5), build_generator(config, 5))


def _changes(cell: list[str], reference: list[str]) -> list[str]:
    return changed_settings(*_experiment(*cell), *_experiment(*reference))


# Every setting of `experiments/digits.yaml` that is not the default.
GCA_HNG = ["generator.graph.layers=1", "generator.alpha=2.0"]
RATES = ["optim.graph.lr=0.001", "optim.classifier.lr=0.01"]
NULL = ["generator=null"]
CASES = [
    ([], NULL, ["generator.name='gca_hng'", *GCA_HNG, *RATES]),
    (NULL, [], NULL),
    (["generator.name=unmoved"], NULL, ["generator.name='unmoved'"]),
    (["generator.name=unmoved"], [], ["generator.name='unmoved'"]),
    # The reference inherits the same alpha, and does not use it.
    ([], ["generator.name=unmoved"], ["generator.name='gca_hng'", *GCA_HNG, *RATES]),
    (
        ["generator.name=scalar", "generator.args.value=0.5"],
        NULL,
        ["generator.name='scalar'", "generator.args.value=0.5"],
    ),
    (["quirks.clip=faithful"], [], ["quirks.clip='faithful'"]),
    (["loss.name=proxy_anchor", "loss.lr=0.1"], [], ["loss.name='proxy_anchor'", "loss.lr=0.1"]),
    (["loss.args.temperature=0.5"], [], ["loss.args.temperature=0.5"]),
    ([], ["loss.args.temperature=0.5"], []),
]


@pytest.mark.parametrize(("cell", "reference", "expected"), CASES)
def test_settings_with_an_effect(
    cell: list[str], reference: list[str], expected: list[str]
) -> None:
    assert _changes(cell, reference) == expected


def test_a_warm_start_that_is_switched_on_is_listed() -> None:
    on = ["embedder.warm_start={steps: 500}"]
    assert _changes(on, ["embedder.warm_start=null"]) == ["embedder.warm_start.steps=500"]
    assert _changes(["embedder.warm_start=null"], on) == ["embedder.warm_start=null"]
