"""The cost of a step, which the dry run and `gcahng benchmark` measure."""

from pathlib import Path

import pytest
import torch

from gcahng.commands.benchmark import benchmark
from gcahng.config import load_config
from gcahng.training.experiment import build_experiment
from gcahng.training.measure_step import measure_steps, tensor_peak_mib, time_in_turn
from gcahng.training.measurements import NonFiniteLossError
from tests.conftest import SMALL
from tests.data.trees import folder_tree

CPU = torch.device("cpu")


@pytest.mark.parametrize("precision", ["64-true", "bf16-mixed"])
def test_a_step_and_its_hard_negatives(precision: str) -> None:
    config = load_config("digits", [*SMALL, f"fabric.precision={precision}"])
    cost = measure_steps({"": build_experiment(config)}, 2)[""]
    assert (cost.batch, len(cost.step), len(cost.negatives)) == ((15, 1, 8, 8), 2, 2)
    assert {"metric", "generator"} <= cost.losses.keys()
    assert min(cost.step[0]) > 0


def test_steps_without_negatives_and_with_features() -> None:
    settings = [*SMALL, "generator=null", "embedder.freeze=[backbone]"]
    experiments = {
        name: build_experiment(load_config("digits", [*settings, f"seed={name}"])) for name in "12"
    }
    backbone = next(experiments["1"].embedder.backbone.parameters()).clone()
    costs = measure_steps(experiments, 3)
    assert [len(cost.step) for cost in costs.values()] == [3, 3]
    assert costs["1"].negatives == []
    assert costs["1"].step_mib > 0
    assert torch.equal(next(experiments["1"].embedder.backbone.parameters()), backbone)


def test_a_loss_must_be_finite() -> None:
    experiment = build_experiment(load_config("digits", SMALL))
    torch.nn.init.constant_(next(experiment.embedder.parameters()), torch.nan)
    with pytest.raises(NonFiniteLossError):
        measure_steps({"": experiment}, 2)


def test_functions_take_turns_until_the_time_is_over() -> None:
    order: list[str] = []
    work = {name: lambda name=name: order.append(name) for name in "ab"}
    assert len(time_in_turn(work, 2, CPU)["a"]) == 2
    assert order == list("ababab")
    assert len(time_in_turn(work, 9, CPU, limit=-1.0)["b"]) == 1


def test_peak_counts_what_is_alive_at_once() -> None:
    def work() -> None:
        for _ in range(3):
            a = torch.zeros(2**18)
            b = torch.zeros(2**18)
            del a, b

    assert tensor_peak_mib(work, CPU) == pytest.approx(2, abs=0.01)


def test_the_command_compares_settings_on_drawn_photos(
    capsys: pytest.CaptureFixture[str],
) -> None:
    settings = ["embedder.dim=8", "batch.classes=3", "embedder.freeze=[]"]
    settings += ["embedder.backbone={name: small_conv, args: {in_channels: 3}}"]
    settings += ["data.transform.train.size=32"]
    names = ["paper/cub_resnet50", "paper/sop_resnet50"]
    benchmark(settings, names, compare=["generator=null"], repetitions=1)
    shown = capsys.readouterr().out
    rows = [line for line in shown.splitlines() if line.startswith("cub_resnet50")]
    assert rows[1].startswith("cub_resnet50, generator=null")
    speedups = [float(row.split()[-2]) for row in rows[:2]]
    assert speedups[0] == 1 < speedups[1]
    assert "DrawnPhotos" in shown


def test_the_command_takes_the_images_that_an_experiment_has(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder_tree(tmp_path / "photos", classes="abcdefgh", images=4)
    settings = ["embedder.dim=8", "batch={classes: 3, samples: 3}", "data.root=nowhere"]
    with pytest.raises(FileNotFoundError, match="nowhere"):
        benchmark(settings, experiment=["photos"])
    settings[2] = f"data.root={tmp_path / 'photos'}"
    settings += ["embedder.backbone={name: small_conv, args: {in_channels: 3}}"]
    benchmark([*settings, "embedder.freeze=[]"], experiment=["photos"], repetitions=1)
    assert "3 classes × 3 images" in capsys.readouterr().out
