"""Where figures go: TensorBoard, Weights & Biases offline, a file store of MLflow; resumed too."""

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
from gcahng.training.trainer import Trainer
from tests.gcahng.training.test_checkpoints import At
from tests.gcahng.training.test_trainer import _trainer

pytestmark = pytest.mark.slow

FAST = ["eval.zero_shot=false", "train.epochs=2", "batch.samples=20"]


@pytest.fixture
def mlflow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A client of a file store, which the environment names as MLflow's own."""
    client = pytest.importorskip("mlflow", reason="needs the extra mlflow").MlflowClient
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (tmp_path / "store").as_uri())
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    return client()


@pytest.fixture
def wandb(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("WANDB_MODE", "offline")
    return pytest.importorskip("wandb", reason="needs the extra wandb")


def _stop(trainer: Trainer, epochs: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Train some epochs, and stop in the next as by a signal."""

    class Soon(At):
        def __init__(self, *given: object) -> None:
            super().__init__(epochs * len(trainer.loader) + 2)

    with monkeypatch.context() as patch:
        patch.setattr("gcahng.training.trainer.Interruption", Soon)
        with pytest.raises(Stopped):
            trainer.fit()


def test_mlflow_gets_settings_figures_and_results(tmp_path: Path, mlflow: Any) -> None:
    given = "train.loggers=[{name: mlflow, args: {experiment: mine, tags: {who: me}}}]"
    results = _trainer(tmp_path / "run", *FAST, given).fit()
    (run,) = mlflow.search_runs([mlflow.get_experiment_by_name("mine").experiment_id])
    assert (run.info.run_name, run.info.status) == ("run", "FINISHED")
    assert run.data.params["optim.embedder.lr"] == "0.0005"
    assert run.data.params["data.name"] == "digits"
    assert run.data.tags["who"] == "me"
    assert run.data.tags["selected_by"] == "map@r"
    assert run.data.metrics["best/recall_at_1"] == results["best/recall@1"]
    history = mlflow.get_metric_history(run.info.run_id, "test/recall_at_1")
    assert [point.step for point in history] == [1, 2]
    assert not [name for name in results if name.startswith("zero_shot")], "off by a setting"
    assert not (tmp_path / "run" / "tensorboard").exists()
    numbers = json.loads((tmp_path / "run" / "trackers.json").read_text())
    assert numbers == {"mlflow": run.info.run_id}


def test_a_resumed_training_goes_on_in_its_mlflow_run(
    tmp_path: Path, mlflow: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = _trainer(tmp_path / "run", *FAST, "train.loggers=[mlflow, tensorboard]")
    _stop(trainer, 1, monkeypatch)
    experiment = mlflow.get_experiment_by_name("gcahng").experiment_id
    assert [run.info.status for run in mlflow.search_runs([experiment])] == ["KILLED"]
    resume_run(RunFolder(tmp_path / "run"))
    (run,) = mlflow.search_runs([experiment])
    assert run.info.status == "FINISHED"
    history = mlflow.get_metric_history(run.info.run_id, "loss/total")
    assert [point.step for point in history] == [1, 2]


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

    monkeypatch.setattr(wandb, "init", watched)
    _stop(trainer, 1, monkeypatch)
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


class Absent(loggers.Tracker):
    """A service that does not answer, once a run has begun."""

    service = "json"  # a package that is there

    def begin(self, number: str | None, settings: object) -> str:
        return number or "7"

    def send(self, *_: object) -> None:
        raise TimeoutError("no answer")

    send_results = end = send


def test_a_service_that_stops_answering_does_not_end_a_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(loggers.TRACKERS, "mlflow", Absent)
    trainer = _trainer(tmp_path / "run", *FAST, "train.loggers=[mlflow]")
    with pytest.warns(UserWarning, match=r"json did not take figures, which '.*metrics\.csv' has"):
        trainer.fit()
    assert trainer.folder.results.is_file()
    again = _trainer(tmp_path / "again", *FAST, "train.loggers=[mlflow]")
    monkeypatch.setattr(Absent, "begin", Absent.send)
    with pytest.raises(ValueError, match=r"^train\.loggers: json cannot begin a run"):
        again.fit()
    again.folder.check_free()


@pytest.mark.parametrize("name", ["wandb", "mlflow"])
def test_a_missing_package_is_one_sentence_with_its_extra(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(loggers, "find_spec", lambda it: None if it == name else find(it))
    with pytest.raises(ImportError, match=re.escape(install_extra(name))):
        _trainer(tmp_path / "run", f"train.loggers=[{name}]")


@pytest.mark.parametrize("given", ["[tensorbord]", "wandb", "[{name: wandb, arg: {}}]"])
def test_wrong_settings_are_refused(given: str) -> None:
    with pytest.raises(ValueError, match=r"train\.loggers"):
        load_config("digits", [f"train.loggers={given}"])


def test_unknown_arguments_are_refused(tmp_path: Path, mlflow: Any, wandb: Any) -> None:
    for name, key in (("csv", "x"), ("tensorboard", "x"), ("mlflow", "uri"), ("wandb", "dir")):
        given = f"train.loggers=[{{name: {name}, args: {{{key}: 1}}}}]"
        with pytest.raises(ValueError, match=rf"^train\.loggers: {name} takes no '{key}'"):
            _trainer(tmp_path / name, given)
