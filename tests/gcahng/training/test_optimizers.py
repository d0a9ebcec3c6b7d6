"""Learning rates over the epochs of a training, as its history has them."""

from pathlib import Path

import pytest

from gcahng.training.optimizers import learning_rates
from tests.gcahng.training.test_trainer import _trainer

STEP = {"name": "step", "every": 1, "gamma": 0.9}
EXPONENTIAL = {"name": "exponential", "gamma": 0.9}
SCHEDULES = {
    "each its own": (
        {"embedder": STEP, "graph": {"name": "cosine"}, "classifier": EXPONENTIAL},
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
