"""A run shows what its backbone could do before training."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from gcahng.builders.images import as_untrained, open_split
from gcahng.config import load_config
from gcahng.evaluation.retrieval import retrieval_metrics
from gcahng.reports.result_table import result_rows
from gcahng.runs.checkpoint import load_checkpoint
from gcahng.runs.record import read_record
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
    untrained = resumed.progress.untrained
    assert untrained is not None
    assert torch.equal(untrained.scores, trainer.progress.untrained.scores)


def test_off_by_a_setting(tmp_path: Path) -> None:
    trainer = _trainer(tmp_path, "train.epochs=1", "eval.zero_shot=false")
    results = trainer.fit()
    assert not [key for key in results if key.startswith("zero_shot")]
    assert len(result_rows(read_record(trainer.folder, "mine"))) == 2


def test_the_gain_is_that_over_the_features(trained: Any) -> None:
    trainer, expected = trained
    results = json.loads(trainer.folder.results.read_text(encoding="utf-8"))
    for metric in ("map@r", "recall@1"):
        before = expected[f"zero_shot/features/{metric}"]
        gain = results[f"best/{metric}"] - before
        assert results[f"gain/{metric}"] == pytest.approx(gain, abs=1e-12)
        assert results[f"gain/{metric}/low"] <= gain <= results[f"gain/{metric}/high"]
    assert "untrained_px" not in results


PHOTOS = (
    "data.transform.train.size=16",
    "data.transform.test={size: 16, resize: 16}",
    "data.transform.test.reduced_jpeg=false",
)


@pytest.mark.parametrize(
    ("backbone", "settings", "pixels"),
    [
        ("timm/tf_efficientnet_lite0", PHOTOS, 224),
        ("timm/tf_efficientnet_lite0", ("data.transform.name=library",), None),
        ("torchvision/resnet18", (), 224),  # the library resizes by another rule
        ("resnet50", (), None),
        ("resnet50", PHOTOS, 224),
        ("resnet50", (*PHOTOS, "embedder.backbone.args.pretrained=false"), None),
    ],
)
def test_the_untrained_network_gets_pictures_as_its_library_prepares_them(
    backbone: str, settings: tuple[str, ...], pixels: int | None, tmp_path: Path
) -> None:
    for number in range(8):
        (tmp_path / f"c{number // 2}").mkdir(exist_ok=True)
        Image.new("RGB", (20, 30)).save(tmp_path / f"c{number // 2}" / f"{number}.png")
    library = "data.transform.name=library" in settings
    plain = ["data.transform.train={}", "data.transform.test={}"] if library else []
    name, root = f"embedder.backbone.name={backbone}", f"data.root={tmp_path}"
    config = load_config("photos", [name, root, *plain, *settings])
    images = open_split(config, "test", augment=False)
    found = as_untrained(config, images)
    assert (None if found is None else found[0][0].shape[-1]) == pixels
    assert found is None or torch.equal(found.labels, images.labels)
