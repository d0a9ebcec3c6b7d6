"""A last layer in closed form is a whole training, and every choice of it is repeatable."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from gcahng import load_embedder
from gcahng.commands.run import finish_run, start_or_resume_run
from gcahng.evaluation.evaluate import scores_of_queries
from gcahng.models import ClassStatistics, WhiteningHead
from gcahng.reports.run_report import report_run
from gcahng.runs.embedding import load_generator
from gcahng.runs.loading import load_run
from gcahng.training import closed_form
from gcahng.training.trainer import Trainer
from tests.gcahng.training.test_trainer import _trainer, results_of

WHITENED = (
    *("embedder.head=whitening", "embedder.freeze=[backbone]", "generator=null"),
    *("embedder.dim=null", "train={epochs: 0, warmup_epochs: 0}"),
    "embedder.backbone.args={in_channels: 1, channels: [80], strides: [4]}",
    *("data.validation=0.4", "batch.classes=3"),
)
FINISHED = (
    *WHITENED,
    *("embedder.finish=whitening", "embedder.freeze=[]", "embedder.head=linear", "embedder.dim=8"),
    *("train={epochs: 2, warmup_epochs: 0}", "generator={name: gca_hng}", "batch.samples=12"),
)


def whitened(folder: Path, *overrides: str) -> Trainer:
    return _trainer(folder, f"data.root={folder.parent}", *WHITENED, *overrides)


@pytest.fixture(scope="module")
def finished(trained: Callable[..., Trainer]) -> Trainer:
    """Whitened, with no epoch."""
    return trained(*WHITENED)


@pytest.fixture(scope="module")
def tuned(trained: Callable[..., Trainer]) -> Trainer:
    """Trained for two epochs, with the last layer replaced at the end."""
    return trained(*FINISHED)


def test_no_epoch_is_a_whole_run(finished: Trainer, capsys: pytest.CaptureFixture[str]) -> None:
    results = results_of(finished)
    assert (results["epochs"], results["best_epoch"], results["ended_by"]) == (0, 0, "epochs")
    report_run(finished.folder, finished.evaluated_run())
    page = finished.folder.report.read_text(encoding="utf-8")
    for shown in ("features before training", "best (0)", "No step was trained"):
        assert shown in page
    assert not any(hidden in page for hidden in ("head before training", "Losses", "One batch"))
    # Written: the model alone, since there is nothing to continue.
    assert finished.folder.best.is_file()
    assert not finished.folder.last.exists()
    with pytest.raises(FileExistsError, match="already holds a run"):
        finished.folder.check_free()
    # A job that is requeued shows it again.
    finished.folder.write_config(finished.config)
    start_or_resume_run(finished.config, finished.folder, report=False)
    assert "best (0)" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["finished", "tuned"])
def test_the_saved_model_is_the_one_that_was_measured(
    name: str, request: pytest.FixtureRequest
) -> None:
    trainer: Trainer = request.getfixturevalue(name)
    embedder, run = trainer.experiment.embedder.eval(), load_run(trainer.folder.path)
    assert isinstance(embedder.fc, WhiteningHead)
    assert (run.config.embedder.head, run.config.embedder.dim) == (
        "whitening",
        embedder.embedding_dim,
    )
    images, test = torch.rand(3, 1, 8, 8), trainer.experiment.splits.test
    with torch.no_grad():
        for model in (run.embedder, load_embedder(trainer.folder.model).network):
            assert torch.equal(model(images), embedder(images))
        embeddings = run.embedder(torch.stack([test[i][0] for i in range(len(test))]))
    for metric, value in scores_of_queries(embeddings, test, trainer.config).means().items():
        assert results_of(trainer)[f"best/{metric}"] == pytest.approx(value, abs=2e-3)


def _features(trainer: Trainer, part: object) -> torch.Tensor:
    with torch.no_grad():
        return trainer.experiment.embedder.backbone.eval()(
            torch.stack([part[i][0] for i in range(len(part))])
        )


def test_the_last_layer_is_fitted_to_all_training_classes(finished: Trainer) -> None:
    splits, embedder = finished.experiment.splits, finished.experiment.embedder
    parts = [splits.train, splits.validation]
    statistics = ClassStatistics(80, sum(part.num_classes for part in parts))
    seen = 0
    for part in parts:
        plain = closed_form.without_augmentation(finished.config, part)
        statistics.add(_features(finished, plain), part.labels + seen)
        seen += part.num_classes
    distances = []
    for shrinkage in closed_form.SHRINKAGES:
        head = WhiteningHead(80, embedder.embedding_dim)
        head.fit(statistics, shrinkage)
        distances.append((head.linear.weight - embedder.fc.linear.weight).abs().max().item())
    assert min(distances) < 1e-5


def test_the_choice_is_the_best_of_the_candidates(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(closed_form, "DIMENSIONS", (1, 2, 64))
    trainer = whitened(tmp_path / "run", "eval.select=map@r")
    form = closed_form.ClosedForm(trainer.experiment, lambda part: _features(trainer, part), None)
    validation, train = trainer.experiment.splits.validation, trainer.experiment.splits.train
    statistics = ClassStatistics(80, train.num_classes)
    plain = closed_form.without_augmentation(trainer.config, train)
    statistics.add(_features(trainer, plain), train.labels)
    found = {}
    for dim in (80, 1, 2):  # three classes to train on, so no 64
        for shrinkage in closed_form.SHRINKAGES:
            head = WhiteningHead(80, dim)
            head.fit(statistics, shrinkage)
            embeddings = head(_features(trainer, validation)).detach()
            figures = scores_of_queries(embeddings, validation, trainer.config).means()
            found[closed_form.Candidate(dim, shrinkage)] = figures["map@r"]
    assert found[form.chosen] == pytest.approx(max(found.values()), abs=1e-6)


def test_a_dimension_that_is_set_stays_and_can_be_trained_further(tmp_path: Path) -> None:
    settings = ("embedder.dim=2", "train={epochs: 1, warmup_epochs: 0}", "fabric.precision=64-true")
    trainer = whitened(tmp_path / "run", *settings)
    results = trainer.fit()
    assert trainer.experiment.embedder.embedding_dim == 2
    assert trainer.experiment.embedder.fc.linear.weight.dtype == torch.float64
    assert results["zero_shot/head/map@r"] != results["last/map@r"]


def test_without_validation_classes_nothing_is_chosen(tmp_path: Path) -> None:
    trainer = whitened(tmp_path / "run", "data.validation=0")
    assert trainer.fit()["selected_on"] == "test"
    assert trainer.experiment.embedder.embedding_dim == 80


@pytest.mark.parametrize(("dim", "most"), [(81, "80"), (70, "2 with 3")])
def test_too_many_dimensions_are_refused_before_long_work(
    dim: int, most: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=rf"embedder.dim: expected at most {most}.*got {dim}"):
        whitened(tmp_path / "run", f"embedder.dim={dim}")


def test_the_generator_keeps_the_layer_that_it_was_trained_with(tuned: Trainer) -> None:
    run = load_run(tuned.folder.path, finished=False)
    assert run.embedder.embedding_dim == 8
    generator = load_generator(run)
    assert generator is not None
    with torch.no_grad():
        embeddings = run.embedder(torch.rand(4, 1, 8, 8))
        generator(embeddings, torch.tensor([0, 1, 0, 1]))
    with pytest.raises(ValueError, match="is an embedder alone"):
        load_generator(load_run(tuned.folder.path))


def test_epoch_0_is_the_closed_form_alone(tuned: Trainer, finished: Trainer) -> None:
    before = tuned.progress.zero_shot["val/head/map@r"]
    assert before == pytest.approx(finished.progress.zero_shot["val/head/map@r"], abs=2e-3)


@pytest.mark.slow
def test_a_finished_training_resumes_to_the_same_end(tuned: Trainer, tmp_path: Path) -> None:
    first = whitened(tmp_path / "run", *FINISHED)
    first.begin()
    first.end_epoch(first.train_epoch())
    resumed = whitened(tmp_path / "run", *FINISHED)
    resumed.resume()
    found, expected = resumed.fit(), results_of(tuned)
    for name in ("best/map@r", "last/map@r", "best_epoch"):
        assert found[name] == expected[name]


@pytest.mark.slow
def test_a_run_is_finished_later_as_it_would_have_been(tuned: Trainer, tmp_path: Path) -> None:
    trainer = whitened(tmp_path / "run", *FINISHED, "embedder.finish=null")
    folder = trainer.folder
    with pytest.raises(ValueError, match="has not finished"):
        finish_run(folder)
    trainer.fit()
    finish_run(folder)
    found, expected = results_of(trainer), results_of(tuned)
    # The epoch that was kept before stays, but the last one is the same.
    same = [name for name in expected if name.startswith("last/")]
    assert {name: found[name] for name in same} == {name: expected[name] for name in same}
    assert "zero_shot/head/map@r" not in found, "of another last layer"
    assert isinstance(load_run(folder.path).embedder.fc, WhiteningHead)
    assert load_embedder(folder.model).dim == 80
    with pytest.raises(ValueError, match="has a last layer in closed form already"):
        finish_run(folder)
