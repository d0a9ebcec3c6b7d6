"""A run shows what its backbone could do before training."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from gcahng.evaluation.retrieval import retrieval_metrics
from gcahng.reports.result_table import result_rows
from gcahng.runs.checkpoint import load_checkpoint
from gcahng.runs.record import RunRecord, read_record, selection_note, zero_shot_note
from tests.gcahng.training.test_trainer import _trainer

SETTINGS = ("train.epochs=1", "data.validation=0.4", "batch.classes=3", "eval.select=map@r")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A run on digits, and what was measured before it by hand."""
    trainer = _trainer(tmp_path_factory.mktemp("zero-shot"), *SETTINGS)
    embedder, splits = trainer.experiment.embedder, trainer.experiment.splits
    expected = {}
    embedder.eval()
    for prefix, split in (("", splits.test), ("val/", splits.validation)):
        images = torch.stack([split[i][0] for i in range(len(split))])
        with torch.no_grad():
            features = embedder.backbone(images)
            outputs = {"features": features, "head": embedder.fc(features)}
        for name, output in outputs.items():
            figures = retrieval_metrics(output, split.labels, [1, 2, 4, 8])
            expected |= {f"zero_shot/{prefix}{name}/{k}": v for k, v in figures.items()}
    embedder.train()
    trainer.fit()
    return trainer, expected


def test_figures_are_those_of_the_untrained_network(trained: Any) -> None:
    trainer, expected = trained
    results = json.loads(trainer.folder.results.read_text(encoding="utf-8"))
    found = {key: value for key, value in results.items() if key.startswith("zero_shot/")}
    assert found == pytest.approx(expected, abs=1e-12)


def test_table_and_report_have_the_rows(trained: Any) -> None:
    trainer, expected = trained
    rows = result_rows(read_record(trainer.folder, "mine"))
    assert [row["epoch"] for row in rows] == ["0, features", "0, head", "last (1)", "best (1)"]
    assert [row["recipe"] for row in rows] == ["mine", "", "", ""]
    assert rows[0]["map@r"] == pytest.approx(expected["zero_shot/features/map@r"])
    from gcahng.reports.run_report import report_run

    report_run(trainer.folder, trainer.evaluated_run())
    page = trainer.folder.report.read_text(encoding="utf-8")
    assert "0, features" in page
    assert f"{100 * expected['zero_shot/head/recall@1']:.2f}" in page
    assert 'rowspan="4"' in page


def test_curves_begin_before_training(trained: Any) -> None:
    from gcahng.reports.page import _with_start

    trainer, expected = trained
    run, level = _with_start(read_record(trainer.folder, "mine")).values()
    assert [row["epoch"] for row in run] == [0, 1]
    assert run[0]["val/map@r"] == pytest.approx(expected["zero_shot/val/head/map@r"])
    assert "test/map@r" not in run[0], "the history has validation figures only"
    assert [row["epoch"] for row in level] == [0, 1]
    before = expected["zero_shot/val/features/map@r"]
    assert [row["val/map@r"] for row in level] == pytest.approx([before, before])


def test_checkpoints_keep_them(trained: Any) -> None:
    trainer, _ = trained
    state = load_checkpoint(trainer.folder.last)
    assert state["zero_shot"] == trainer.progress.zero_shot
    resumed = _trainer(trainer.folder.path, *SETTINGS)
    resumed.resume()
    assert resumed.progress.zero_shot == trainer.progress.zero_shot


def test_off_by_a_setting(tmp_path: Path) -> None:
    trainer = _trainer(tmp_path, "train.epochs=1", "eval.zero_shot=false")
    results = trainer.fit()
    assert not [key for key in results if key.startswith("zero_shot")]
    assert len(result_rows(read_record(trainer.folder, "mine"))) == 2


@pytest.mark.parametrize(("after", "told"), [(0.29, True), (0.3, False), (None, False)])
def test_a_run_that_ends_below_says_so(after: float | None, told: bool) -> None:
    results: dict[str, Any] = {
        "selected_by": "map@r",
        "selected_on": "val",
        "zero_shot/features/map@r": 0.3,
    }
    if after is not None:
        results["best/map@r"] = after
    record = RunRecord("mine", [], results, "")
    sentence = (
        "mine ends below its backbone before training, map@r 29.00 % against 30.00 % of the "
        "features: use these, or try fewer epochs, a smaller learning rate or fewer trained layers."
    )
    assert zero_shot_note(record) == (sentence if told else None)
    assert (sentence in selection_note([record])) == told
