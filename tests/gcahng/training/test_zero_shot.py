"""A run shows what its backbone could do before training."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image

from gcahng.builders.images import as_untrained, open_split
from gcahng.config import load_config
from gcahng.evaluation.retrieval import retrieval_metrics
from gcahng.training.trainer import Trainer
from tests.gcahng.training.test_trainer import _trainer, results_of

SETTINGS = ("train.epochs=1", "data.validation=0.4", "batch.classes=3", "eval.select=map@r")


@pytest.fixture(scope="module")
def run(trained: Callable[..., Trainer]) -> Trainer:
    return trained(*SETTINGS)


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> dict[str, float]:
    """What the network before the training measures by hand."""
    experiment = _trainer(tmp_path_factory.mktemp("untrained"), *SETTINGS).experiment
    embedder, splits = experiment.embedder.eval(), experiment.splits
    found = {}
    for prefix, split in (("", splits.test), ("val/", splits.validation)):
        with torch.no_grad():
            features = embedder.backbone(torch.stack([split[i][0] for i in range(len(split))]))
            outputs = {"features": features, "head": embedder.fc(features)}
        for name, output in outputs.items():
            figures = retrieval_metrics(output, split.labels, [1, 2, 4, 8])
            found |= {f"zero_shot/{prefix}{name}/{k}": v for k, v in figures.items()}
    return found


def test_figures_are_those_of_the_untrained_network(
    run: Trainer, expected: dict[str, float]
) -> None:
    results = results_of(run)
    found = {key: value for key, value in results.items() if key.startswith("zero_shot/")}
    assert found == pytest.approx(expected, abs=1e-12)
    for metric in ("map@r", "recall@1"):
        gain = results[f"best/{metric}"] - expected[f"zero_shot/features/{metric}"]
        assert results[f"gain/{metric}"] == pytest.approx(gain, abs=1e-12)
        assert results[f"gain/{metric}/low"] <= gain <= results[f"gain/{metric}/high"]
    assert "untrained_px" not in results


def test_checkpoints_keep_them(run: Trainer) -> None:
    resumed = _trainer(run.folder.path, *SETTINGS)
    resumed.resume()
    assert resumed.progress.zero_shot == run.progress.zero_shot
    assert torch.equal(resumed.progress.untrained.scores, run.progress.untrained.scores)


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
