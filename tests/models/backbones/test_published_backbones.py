"""The three published backbones against torchvision's and timm's networks with equal weights."""

from pathlib import Path
from typing import Any

import pytest
import timm
import torch
import torchvision
from safetensors.torch import save_file
from torch import Tensor, nn

from gcahng.models import ResNet50, build_backbone

IMAGES = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))


def _random_statistics(network: nn.Module) -> None:
    """Set statistics other than 0 and 1, so that ignoring them changes the output."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -0.1, 0.1)
            nn.init.uniform_(module.running_var, 0.5, 1.5)


@pytest.fixture(scope="module")
def resnet() -> nn.Module:
    torch.manual_seed(0)
    network = torchvision.models.resnet50()
    _random_statistics(network)
    return network.eval()


@pytest.fixture(scope="module")
def resnet_file(resnet: nn.Module, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "r.pth"
    torch.save(resnet.state_dict(), path)
    return path


def _maps(network: nn.Module, layer: str, images: Tensor) -> Tensor:
    found: list[Tensor] = []
    handle = network.get_submodule(layer).register_forward_hook(lambda *args: found.append(args[2]))
    with torch.no_grad():
        network(images)
    handle.remove()
    return found[0]


@pytest.mark.parametrize("pooling", ["avg_max", "avg"])
def test_resnet50_pools_as_said(resnet: nn.Module, resnet_file: Path, pooling: str) -> None:
    ours = build_backbone("resnet50", weights=resnet_file, pooling=pooling)
    maps = _maps(resnet, "layer4", IMAGES).flatten(2)
    expected = maps.mean(2) + (maps.max(2).values if pooling == "avg_max" else 0)
    with torch.no_grad():
        torch.testing.assert_close(ours.eval()(IMAGES), expected)
    assert ours.out_channels == expected.shape[1]
    assert pooling in repr(ours)


@pytest.mark.parametrize("renormalize", [True, False])
def test_googlenet_renormalizes_its_input(tmp_path: Path, renormalize: bool) -> None:
    torch.manual_seed(0)
    network = torchvision.models.GoogLeNet(aux_logits=True, init_weights=False).eval()
    _random_statistics(network)
    # Like the hub's file, with auxiliary heads, which the backbone does not have.
    path = tmp_path / "g.pth"
    torch.save(network.state_dict(), path)
    ours = build_backbone("googlenet", weights=path, renormalize=renormalize)
    mean = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)
    std = torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
    inputs = ((IMAGES * std + mean) - 0.5) / 0.5 if renormalize else IMAGES
    expected = _maps(network, "avgpool", inputs).flatten(1)
    with torch.no_grad():
        torch.testing.assert_close(ours.eval()(IMAGES), expected)
        # No dropout and no auxiliary outputs: only batch statistics differ in training mode.
        for module in ours.train().modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()
        torch.testing.assert_close(ours(IMAGES), expected)


def test_dino_gives_the_normed_class_token(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = timm.create_model("vit_small_patch16_224", pretrained=False).eval()
    for parameter in network.parameters():
        parameter.data.add_(torch.randn_like(parameter), alpha=0.02)
    save_file(network.state_dict(), tmp_path / "d.safetensors")
    ours = build_backbone("dino_vits16", weights=tmp_path / "d.safetensors").eval()
    images = torch.randn(1, 3, 224, 224)
    with torch.no_grad():
        torch.testing.assert_close(ours(images), network.forward_features(images)[:, 0])
    assert ours.out_channels == 384


def test_pretrained_by_default_through_their_hubs(
    resnet: nn.Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    googlenet = torchvision.models.GoogLeNet(aux_logits=True, init_weights=False)
    files = {"resnet50": resnet.state_dict(), "googlenet": googlenet.state_dict()}

    def from_hub(url: str, *_: Any, **__: Any) -> dict[str, Tensor]:
        asked.append(url.rpartition("/")[2])
        return files[asked[-1].partition("-")[0]]

    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", from_hub)
    ours = ResNet50()
    assert torch.equal(ours.model.conv1.weight, resnet.conv1.weight)
    ours = build_backbone("googlenet")
    assert torch.equal(ours.conv1.conv.weight, googlenet.conv1.conv.weight)
    assert ours.transform_input
    assert asked == ["resnet50-0676ba61.pth", "googlenet-1378be20.pth"]


@pytest.mark.parametrize(
    ("name", "host"),
    [
        ("googlenet", "download.pytorch.org"),
        ("resnet50", "download.pytorch.org"),
        ("dino_vits16", "huggingface.co"),
        ("timm/resnet18", "huggingface.co"),
        ("torchvision/resnet18", "download.pytorch.org"),
    ],
)
def test_offline_is_one_sentence(
    name: str, host: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def unreachable(*_: Any, **__: Any) -> None:
        raise OSError("no network")

    monkeypatch.setattr("socket.getaddrinfo", unreachable)
    # Which would try for a minute.
    monkeypatch.setattr("timm.models._builder.load_state_dict_from_hf", unreachable)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(ConnectionError) as info:
        build_backbone(name)
    sentence = str(info.value)
    assert f"could not be downloaded from {host}" in sentence
    assert "embedder.backbone.args.weights=PATH" in sentence
    assert len(sentence.splitlines()) == 1
    assert build_backbone(name, untrained=True).out_channels > 0, "a loaded run needs no network"


def test_foreign_weights_are_refused(resnet_file: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"r\.pth' does not hold the weights of the backbone 'goo"):
        build_backbone("googlenet", weights=resnet_file)
    with pytest.raises(FileNotFoundError, match="no checkpoint at"):
        build_backbone("resnet18", weights=tmp_path / "none.pth")
    (tmp_path / "broken.safetensors").write_bytes(b"nothing")
    with pytest.raises(ValueError, match="cannot be read as safetensors"):
        build_backbone("resnet18", weights=tmp_path / "broken.safetensors")
    torch.save([1, 2], tmp_path / "list.pth")
    with pytest.raises(ValueError, match="is not a state dict"):
        build_backbone("resnet18", weights=tmp_path / "list.pth")
    with pytest.raises(ValueError, match="pooling: expected 'avg_max' or 'avg'"):
        build_backbone("resnet50", pretrained=False, pooling="max")
