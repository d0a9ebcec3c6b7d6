"""What a training counts of its networks."""

import pytest

from gcahng.config import load_config
from gcahng.training.experiment import build_experiment

SMALL = ["batch.samples=3", "embedder.dim=8", "data.validation=0"]
WEIGHTLESS = ["generator.args.weights={gamma: 0, similarity: 0, diversity: 0}"]


@pytest.mark.parametrize(
    ("overrides", "frozen", "judged"),
    [
        (["generator=null"], 0, True),
        ([], 0, True),
        # BatchNorm2d weights and biases after convolutions of 32, 64 and 64 channels.
        (["embedder.freeze=[bn_affine]", *WEIGHTLESS], 2 * (32 + 64 + 64), False),
    ],
)
def test_parameters_are_those_that_train(overrides: list[str], frozen: int, judged: bool) -> None:
    experiment = build_experiment(load_config("digits", [*SMALL, *overrides]))
    generator = experiment.generator
    whole = sum(p.numel() for p in experiment.embedder.parameters())
    own = 0 if generator is None else sum(p.numel() for p in generator.parameters())
    if generator is not None and not judged:
        own -= sum(p.numel() for p in generator.classifier.parameters())
    assert experiment.count_parameters() == {
        "embedder_parameters": whole - frozen,
        "generator_parameters": own,
    }
