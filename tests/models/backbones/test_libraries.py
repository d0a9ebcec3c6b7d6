"""Classifiers of torchvision and timm as backbones."""

import pytest
import timm
import torch
import torchvision
from PIL import Image
from torch import nn

from gcahng.models import BACKBONES, build_backbone
from gcahng.models.backbones import own_transform

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


def test_arguments_reach_the_library() -> None:
    backbone = build_backbone("timm/vit_tiny_patch16_224", pretrained=False, img_size=32)
    assert isinstance(backbone, nn.Module)
    assert backbone(torch.randn(1, 3, 32, 32)).shape == (1, 192)


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("checkpoint_path", "evil.pth"),
        ("checkpoint_path", 3),  # an open file, by its number
        ("pretrained_cfg", {"file": "evil.pth"}),
        ("pretrained_cfg_overlay", {"url": "https://evil.org/x"}),
        ("pretrained_strict", False),
        ("cache_dir", "/tmp"),
        ("features_only", True),
        ("model_cfg", {"block": "evil:Block"}),
        ("weights_backbone", "DEFAULT"),
        ("norm_layer", "evil.Norm"),
        ("act_layer", "evil:Act"),
        ("block_args", {"attn_layer": "se"}),
        ("depths", [2, "evil.pth"]),
        ("drop_rate", "evil.pth"),
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


def test_layers_are_chosen_by_their_names_in_the_library() -> None:
    args = {"global_pool": "max", "act_layer": "silu", "layers": [1, 1, 1, 1], "in_chans": 1}
    backbone = build_backbone("timm/resnet18", pretrained=False, **args).eval()
    assert isinstance(backbone.act1, nn.SiLU)
    assert backbone(torch.randn(1, 1, 32, 32)).shape == (1, 512)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        (
            "resnet50x",
            r"unknown backbone 'resnet50x' \(did you mean 'resnet50'\?\); choose from: d",
        ),
        ("timm/nothing_like_it", r"unknown backbone 'timm/nothing_like_it'; choose from: d"),
        ("torchvision/resnet18d", r"unknown backbone 'torchvision/resnet18d'"),
        ("timm/hf-hub:timm/resnet18", r"unknown backbone 'timm/hf-hub:timm/resnet18'; choose"),
        ("timm/local-dir:/tmp", r"unknown backbone 'timm/local-dir:/tmp'; choose"),
    ],
)
def test_unknown_names(name: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        BACKBONES.find(name)


def test_a_network_without_linear_layer_is_refused() -> None:
    with pytest.raises(ValueError, match="squeezenet1_1 has no linear layer"):
        build_backbone("squeezenet1_1", pretrained=False)


@pytest.mark.parametrize("name", ["timm/test_vit", "torchvision/resnet18"])
def test_pictures_are_prepared_as_by_the_library(name: str) -> None:
    own = own_transform(name)
    assert own is not None
    picture = Image.linear_gradient("L").resize((40, 90)).convert("RGB")
    assert torch.equal(own(picture), own.steps(picture))
    # All of a line would become 12 million pixels long before it is cropped.
    line = own(Image.new("RGB", (1, 50_000), "red"))
    assert torch.equal(line, own(Image.new("RGB", (300, 300), "red")))
