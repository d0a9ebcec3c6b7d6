"""Where figures go: TensorBoard, and Weights & Biases offline; resumed too."""

import functools
import importlib.util
import json
import re
from pathlib import Path
from typing import Any

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from gcahng.commands.run import resume_run
from gcahng.config import load_config
from gcahng.jobs.process import Stopped
from gcahng.reasons import install_extra
from gcahng.runs.folder import RunFolder
from gcahng.training import loggers
from tests.gcahng.training.test_checkpoints import At
from tests.gcahng.training.test_trainer import _trainer

pytestmark = pytest.mark.slow

FAST = ["eval.zero_shot=false", "train.epochs=2", "batch.samples=20"]


@pytest.fixture
def wandb(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("WANDB_MODE", "offline")
    return pytest.importorskip("wandb", reason="needs the extra wandb")


def test_wandb_offline_gets_figures_and_resumes_in_its_run(
    tmp_path: Path, wandb: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = "train.loggers=[{name: wandb, args: {project: mine, tags: [a]}}]"
    trainer = _trainer(tmp_path / "run", *FAST, given)
    seen: list[tuple[int, dict[str, Any]]] = []
    init = wandb.init

    @functools.wraps(init)
    def watched(**settings: Any) -> Any:
        run = init(**settings)
        log = run.log
        monkeypatch.setattr(
            run, "log", lambda row, step: (seen.append((step, row)), log(row, step))
        )
        return run

    class Soon(At):
        """A signal in the second epoch."""

        def __init__(self, *given: object) -> None:
            super().__init__(len(trainer.loader) + 2)

    monkeypatch.setattr(wandb, "init", watched)
    with monkeypatch.context() as patch:
        patch.setattr("gcahng.training.trainer.Interruption", Soon)
        with pytest.raises(Stopped):
            trainer.fit()
    number = json.loads((tmp_path / "run" / "trackers.json").read_text())["wandb"]
    resume_run(RunFolder(tmp_path / "run"))
    files = list((tmp_path / "run" / "wandb").glob(f"offline-run-*/run-{number}.wandb"))
    assert len(files) >= 1
    assert json.loads((tmp_path / "run" / "trackers.json").read_text()) == {"wandb": number}
    assert [step for step, _ in seen] == [1, 2]
    assert {"test/recall@1", "loss/total", "lr/embedder"} <= seen[0][1].keys()
    logger = trainer.fabric.loggers[0]
    assert isinstance(logger, loggers.WandbLogger)
    assert (logger.run.project, logger.run.name) == ("mine", "run")
    assert logger.run.config["optim"]["embedder"]["lr"] == 5e-4


def test_tensorboard_reads_every_epoch_and_csv_is_what_every_run_has(tmp_path: Path) -> None:
    _trainer(tmp_path / "run", *FAST, "train.loggers=[csv, tensorboard]").fit()
    names = {path.name for path in (tmp_path / "run").iterdir()}
    assert {"metrics.csv", "tensorboard"} <= names
    assert not {"trackers.json", "wandb"} & names
    events = EventAccumulator(str(tmp_path / "run" / "tensorboard")).Reload()
    assert [event.step for event in events.Scalars("test/map@r")] == [1, 2]


class Absent:
    """A run of a service that does not answer any more."""

    id = "7"

    def log(self, *_: object, **__: object) -> None:
        raise TimeoutError("no answer")

    finish = log


def test_a_service_that_stops_answering_does_not_end_a_training(
    tmp_path: Path, wandb: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wandb, "init", lambda **_: Absent())
    trainer = _trainer(tmp_path / "run", *FAST, "train.loggers=[wandb]")
    with pytest.warns(UserWarning, match=r"wandb did not take figures, which '.*metrics\.csv' has"):
        trainer.fit()
    assert trainer.folder.results.is_file()
    again = _trainer(tmp_path / "again", *FAST, "train.loggers=[wandb]")
    monkeypatch.setattr(wandb, "init", Absent().log)
    with pytest.raises(ValueError, match=r"^train\.loggers: wandb cannot log this run"):
        again.fit()
    again.folder.check_free()


def test_a_missing_package_is_one_sentence_with_its_extra(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(loggers, "find_spec", lambda it: None if it == "wandb" else find(it))
    with pytest.raises(ImportError, match=re.escape(install_extra("wandb"))):
        _trainer(tmp_path / "run", "train.loggers=[wandb]")


@pytest.mark.parametrize("given", ["[tensorbord]", "wandb", "[{name: wandb, arg: {}}]"])
def test_wrong_settings_are_refused(given: str) -> None:
    with pytest.raises(ValueError, match=r"train\.loggers"):
        load_config("digits", [f"train.loggers={given}"])
