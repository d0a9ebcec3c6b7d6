"""A dry run: sizes, one step, an estimate; and nothing is written."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from gcahng import cli
from gcahng.config import load_config
from gcahng.training import dry_run as room
from gcahng.training.dry_run import DryRun, _embedding_costs, _together, dry_run
from gcahng.training.experiment import build_experiment
from gcahng.training.measure_step import median_times
from gcahng.training.step import TrainingStep
from tests.conftest import SMALL


def _seconds(found: DryRun) -> float:
    assert found.step is not None
    return median_times(found.step.step).seconds


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
    assert experiment.generator is not None
    sizes = {name: count for name, (count, _) in found.parameters.items()}
    networks = (experiment.embedder, experiment.loss, experiment.generator)
    assert sum(sizes.values()) == sum(p.numel() for net in networks for p in net.parameters())
    assert sizes["classifier"] == 3 * 9, "3 classes, 8 channels and a bias"
    assert found.parameters["backbone"] == (sizes["backbone"], sizes["backbone"])
    assert found.step is not None
    assert (found.step.batch, found.steps) == ((9, 1, 8, 8), len(experiment.loader))
    assert found.step.losses["metric"] > 0
    assert list(found.costs) == ["before training", "evaluation", "training"]
    expected = 3 * found.steps * (_seconds(found) + found.step.data_seconds)
    assert found.costs["training"] == pytest.approx(expected)
    assert found.step.peak_mib > 0


def test_a_frozen_backbone_is_not_trained_and_embeds_every_image_once() -> None:
    found = dry_run(load_config("digits", [*SMALL, "embedder.freeze=[backbone]"]))
    assert found.parameters["backbone"][0] > 0
    assert found.parameters["backbone"][1] == 0
    assert list(found.costs) == ["features", "training"]
    assert found.costs["training"] == pytest.approx(3 * found.steps * _seconds(found))


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
    overrides: list[str], expected: dict[str, float]
) -> None:
    assert _embedding_costs(load_config("digits", overrides), COUNTS, 1.0) == expected


def test_images_are_loaded_before_the_step_or_meanwhile() -> None:
    assert _together(2.0, 3.0, workers=0) == 5.0
    assert _together(2.0, 3.0, workers=1) == 3.0
    assert _together(2.0, 3.0, workers=4) == 2.0


def test_the_warm_start_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    config = load_config("digits", SMALL)
    section = load_config("quickstart").embedder.warm_start
    warm = config.model_copy(
        update={"embedder": config.embedder.model_copy(update={"warm_start": section})}
    )
    experiment = build_experiment(config)
    experiment = replace(experiment, warm_start_split=experiment.splits.train)
    monkeypatch.setattr(room, "measure_time", lambda work, device: (2.0, work()))
    # 500 steps of 64 images, where 15 images take 2 seconds and 2 more to load.
    assert room._warm_start_seconds(warm, experiment) == 500 * 64 / 15 * 4
    assert room._warm_start_seconds(config, experiment) == 0


def _run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["gcahng", "train", *map(str, arguments)])
    with pytest.raises(SystemExit) as info:
        cli.main()
    return int(info.value.code or 0)


def test_nothing_is_written(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert _run(monkeypatch, "digits", *SMALL, "--dry-run", "fabric.devices=2") == 0
    out = capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []
    assert "train       5    901\n" in out
    assert "\none step: 15 images [1, 8, 8], " in out
    assert "\nthe run: 3 epochs of 60 steps, about " in out
    assert "by one process, and 2 share it" in out
    assert out.endswith("nothing was written to 'runs/digits-seed0'\n")


def test_what_cannot_be_tried_is_one_sentence(
    digits_run: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert _run(monkeypatch, "--dry-run", "--resume", digits_run) == 1
    assert capsys.readouterr().err == (
        "error: --dry-run is for a new run: name its config, without --resume RUN\n"
    )
    # A run that is there does not matter, since nothing is written.
    for options in ([], ["--resume", "auto"]):
        assert _run(monkeypatch, "digits", "--dry-run", "--run", digits_run, *options) == 0
    assert _run(monkeypatch, "digits", "--dry-run", "batch.classes=9") == 1
    assert capsys.readouterr().err == (
        "error: batch.classes: expected at most the 5 training classes, got 9\n"
    )


def test_a_batch_that_does_not_fit_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr(TrainingStep, "__call__", full)
    with pytest.raises(ValueError, match=r"^batch: a step with 15 images does not fit the memory"):
        dry_run(load_config("digits", SMALL))
