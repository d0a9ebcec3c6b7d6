"""A dry run: sizes, one step, an estimate; and nothing is written."""

from pathlib import Path

import pytest
import torch

from gcahng.config import load_config
from gcahng.training.dry_run import dry_run, embedded_images
from gcahng.training.experiment import build_experiment
from gcahng.training.measure_step import median_times
from gcahng.training.step import TrainingStep
from tests.conftest import SMALL, Call

HELD_OUT = ["data.validation=0.4", "batch.classes=3"]


def test_sizes_are_those_of_the_experiment() -> None:
    config = load_config("digits", [*SMALL, *HELD_OUT])
    found, experiment = dry_run(config), build_experiment(config)
    splits = experiment.splits
    assert splits.validation is not None
    assert found.splits == {
        "train": (3, len(splits.train)),
        "validation": (2, len(splits.validation)),
        "test": (5, 896),
    }
    assert found.step is not None
    assert (found.step.batch, found.steps) == ((9, 1, 8, 8), len(experiment.loader))
    assert found.step.losses["metric"] > 0
    assert list(found.costs) == ["before training", "evaluation", "training"]
    seconds = median_times(found.step.step).seconds + found.step.data_seconds
    assert found.costs["training"] == pytest.approx(3 * found.steps * seconds)
    assert found.step.peak_mib > 0


def test_a_frozen_backbone_embeds_every_image_once() -> None:
    found = dry_run(load_config("digits", [*SMALL, "embedder.freeze=[backbone]"]))
    assert list(found.costs) == ["features", "training"]
    assert found.step is not None
    seconds = median_times(found.step.step).seconds
    assert found.costs["training"] == pytest.approx(3 * found.steps * seconds)


COUNTS = {"train": 100, "validation": 10, "test": 1000}


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        # Of the four epochs, each evaluates the test split, which is also the final figure.
        (["data.validation=0"], {"before training": 1010, "evaluation": 4000}),
        (["data.validation=0.2"], {"before training": 1010, "evaluation": 4 * 10 + 2000}),
        (["data.validation=0.2", "eval.every=3"], {"before training": 1010, "evaluation": 2020}),
        (["eval.zero_shot=false"], {"before training": 0, "evaluation": 4000}),
        (["embedder.freeze=[backbone]", "data.views=3"], {"features": 1310}),
        (
            ["embedder.freeze=[backbone]", "train={epochs: 0, warmup_epochs: 0}"],
            {"features": 1110},
        ),
        (
            ["data.validation=0.2", "embedder.finish=whitening", "embedder.freeze=[]"],
            {"before training": 1210, "evaluation": 4 * 110 + 2200},
        ),
    ],
)
def test_which_images_are_embedded_how_often(
    overrides: list[str], expected: dict[str, int]
) -> None:
    assert embedded_images(load_config("digits", overrides), COUNTS) == expected


def test_nothing_is_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, call: Call) -> None:
    monkeypatch.chdir(tmp_path)
    status, out, _ = call("train", "digits", *SMALL, "--dry-run", "fabric.devices=2")
    assert status == 0
    assert list(tmp_path.iterdir()) == []
    for said in ("15 images [1, 8, 8]", "3 epochs of 60 steps", "by one process, and 2 share it"):
        assert said in out
    assert out.endswith("nothing was written to 'runs/digits-seed0'\n")


def test_a_batch_that_does_not_fit_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr(TrainingStep, "__call__", full)
    with pytest.raises(ValueError, match=r"^batch: a step with 15 images does not fit the memory"):
        dry_run(load_config("digits", SMALL))
