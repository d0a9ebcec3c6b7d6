"""Trainings that several tests look at."""

from collections.abc import Callable

import pytest

from gcahng.training.trainer import Trainer
from tests.gcahng.training.test_trainer import _trainer


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Trainer]:
    """Train on digits to the end, once for all tests with the same settings, which only read it."""
    known: dict[tuple[str, ...], Trainer] = {}

    def train(*overrides: str) -> Trainer:
        if overrides not in known:
            folder = tmp_path_factory.mktemp("trained") / "run"
            known[overrides] = _trainer(folder, f"data.root={folder.parent}", *overrides)
            known[overrides].fit()
        return known[overrides]

    return train
