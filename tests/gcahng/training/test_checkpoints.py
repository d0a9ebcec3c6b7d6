"""What may change before a run is continued."""

import shutil
from pathlib import Path

import pytest

from gcahng.commands.run import resume_run
from gcahng.config import load_config
from gcahng.runs.folder import RunFolder
from tests.gcahng.training.test_trainer import _trainer


@pytest.fixture
def run(digits_run: Path, tmp_path: Path) -> RunFolder:
    """A finished run, to change at will."""
    return RunFolder(Path(shutil.copytree(digits_run, tmp_path / "run")))


@pytest.mark.slow
def test_data_that_moved_is_named_when_resuming(run: RunFolder, tmp_path: Path) -> None:
    (tmp_path / "moved").mkdir()
    before = run.results.read_text()
    resume_run(run, tmp_path / "moved")
    assert f"root: {tmp_path / 'moved'}" in run.config.read_text()
    assert load_config(run.config).data.root == str(tmp_path / "moved")
    assert before.split('"seconds"')[0] == run.results.read_text().split('"seconds"')[0]
    with pytest.raises(FileNotFoundError, match="--root: there is no folder"):
        resume_run(run, tmp_path / "nowhere")


def test_settings_that_do_not_change_the_figures_may_change(run: RunFolder) -> None:
    overrides = ["train.max_seconds=1000", "output=elsewhere", "fabric.accelerator=cpu"]
    overrides += ["data.workers=1", "fabric.threads=1", "generator.args.graph.memory=low"]
    overrides += ["train.keep_every=2", "eval.engine=faiss", "fabric.channels_last=true"]
    trainer = _trainer(run.path, *overrides)
    trainer.resume()
    assert trainer.progress.epoch == 3


def test_a_changed_config_is_not_continued(run: RunFolder) -> None:
    other = _trainer(run.path, "optim.embedder.lr=0.05", "generator.args.alpha=9", "eval.ks=[1]")
    changed = r"\(generator\.args\.alpha, optim\.embedder\.lr, eval\.ks\)"
    with pytest.raises(ValueError, match=rf"was changed since the run began {changed}"):
        other.resume()
