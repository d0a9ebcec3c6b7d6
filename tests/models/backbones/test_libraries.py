"""Classifiers of torchvision and timm as backbones."""

import pytest
import timm
import torch
import torchvision
from torch import nn

from gcahng.models import BACKBONES, build_backbone

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
    ("name", "sentence"),
    [
        (
            "resnet50x",
            r"unknown backbone 'resnet50x' \(did you mean 'resnet50'\?\); choose from: d",
        ),
        ("timm/nothing_like_it", r"unknown backbone 'timm/nothing_like_it'; choose from: d"),
        ("torchvision/resnet18d", r"unknown backbone 'torchvision/resnet18d'"),
    ],
)
def test_unknown_names(name: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        BACKBONES.find(name)


def test_a_network_without_linear_layer_is_refused() -> None:
    with pytest.raises(ValueError, match="squeezenet1_1 has no linear layer"):
        build_backbone("squeezenet1_1", pretrained=False)
