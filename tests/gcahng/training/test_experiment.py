"""What a training counts of its networks, and its learning rates over the epochs."""

from pathlib import Path

import pytest

from gcahng.config import load_config
from gcahng.training.experiment import build_experiment
from gcahng.training.optimizers import learning_rates
from tests.gcahng.training.test_trainer import _trainer

SMALL = ["batch.samples=3", "embedder.dim=8", "data.validation=0"]
WEIGHTLESS = ["generator.args.weights={gamma: 0, similarity: 0, diversity: 0}"]


@pytest.mark.parametrize(
    ("overrides", "frozen"),
    # BatchNorm2d weights and biases after convolutions of 32, 64 and 64 channels.
    [([], 0), (["embedder.freeze=[bn_affine]", *WEIGHTLESS], 2 * (32 + 64 + 64))],
)
def test_parameters_are_those_that_train(overrides: list[str], frozen: int) -> None:
    experiment = build_experiment(load_config("digits", [*SMALL, *overrides]))
    whole = sum(p.numel() for p in experiment.embedder.parameters())
    own = sum(p.numel() for p in experiment.generator.parameters())
    if overrides:  # the classifier of a generator without losses is not trained
        own -= sum(p.numel() for p in experiment.generator.classifier.parameters())
    counted = experiment.count_parameters()
    assert counted == {"embedder_parameters": whole - frozen, "generator_parameters": own}


STEP = {"name": "step", "every": 1, "gamma": 0.9}
SCHEDULES = {
    "each its own": (
        {"embedder": STEP, "graph": {"name": "cosine"}, "classifier": STEP},
        {"embedder": [1, 0.9, 0.81], "graph": [1, 0.75, 0.25], "classifier": [1, 0.9, 0.81]},
    ),
    "constant": ({"embedder": {"name": "constant"}}, {"embedder": [1, 1, 1]}),
}


@pytest.mark.parametrize("case", SCHEDULES)
def test_schedules(tmp_path: Path, case: str) -> None:
    schedules, expected = SCHEDULES[case]
    overrides = [f"optim.{name}.schedule={schedule}" for name, schedule in schedules.items()]
    rates = [f"optim.{name}.lr=0.001" for name in schedules]
    alone = ["generator=null"] if case == "constant" else []
    trainer = _trainer(tmp_path, "train.epochs=3", *overrides, *rates, *alone)
    history = []
    for _ in range(3):
        history.append(learning_rates(trainer.experiment.schedules))
        for schedule in trainer.experiment.schedules:
            schedule.optimizer.step()
            schedule.step()
    for name, factors in expected.items():
        rows = [row[f"lr/{name}"] / 0.001 for row in history]
        assert rows == pytest.approx(factors), name
