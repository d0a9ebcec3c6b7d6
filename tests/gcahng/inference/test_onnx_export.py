"""An ONNX file gives the embeddings of the model, on images, in batches of any size."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import Tensor, nn

from gcahng import load_embedder
from gcahng.inference import onnx_export
from gcahng.inference.embedder import TrainedEmbedder
from gcahng.inference.onnx_export import drawn_pictures, export_onnx
from gcahng.inference.onnx_preparation import check_preparation, preparation_graph
from gcahng.preparation import Preparation
from tests.models.published_weights import synthetic_state


@pytest.fixture
def model(digits_run: Path) -> TrainedEmbedder:
    return load_embedder(digits_run, device="cpu")


def embed(path: Path, model: TrainedEmbedder, images: list[Any]) -> Tensor:
    """Embed images with ONNX Runtime."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    inputs = torch.stack([model.transform(image) for image in images]).numpy()
    return torch.from_numpy(session.run(["embeddings"], {"images": inputs})[0])


def facts_of(path: Path) -> dict[str, str]:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.get_modelmeta().custom_metadata_map


@pytest.mark.slow
@pytest.mark.parametrize("normalize", [False, True])
def test_export(
    model: TrainedEmbedder, tmp_path: Path, normalize: bool, capfd: pytest.CaptureFixture[str]
) -> None:
    model.network.normalize = normalize
    exported = export_onnx(model, tmp_path / "model.onnx")
    assert capfd.readouterr() == ("", "")
    assert exported.images == "test images of Digits"
    assert 0 < exported.difference < 1e-5
    assert exported.batch_sizes == (1, 3, 8)
    assert [file.name for file in tmp_path.iterdir()] == ["model.onnx"], "one file"
    assert exported.size == exported.path.stat().st_size
    onnx.checker.check_model(exported.path, full_check=True)
    for count in (1, 2, 5, 33):
        images = list(torch.rand(count, 1, 8, 8))
        found = embed(exported.path, model, images)
        torch.testing.assert_close(found, model.embed(images), rtol=1e-5, atol=1e-5)
    facts = facts_of(exported.path)
    assert facts.pop("gcahng_version")
    assert facts.pop("name") == "digits"
    assert {name: json.loads(value) for name, value in facts.items()} == {
        "input_channels": 1,
        "input_size": [8, 8],
        "mean": [0.0],
        "std": [1.0],
        "embedding_dim": 8,
        "normalized": normalize,
        "preparation": Preparation().to_dict() | {"mean": [], "std": []},
    }
    for place in (Path(onnx_export.__file__).parents[1], Path(torch.__file__).parent, Path.home()):
        assert str(place).encode() not in exported.path.read_bytes(), "about this machine"


@pytest.mark.slow
@pytest.mark.parametrize(("backbone", "dim"), [("Googlenet", 512), ("DINO", 384)])
def test_backbones(tmp_path: Path, backbone: str, dim: int) -> None:
    torch.save(synthetic_state(backbone), tmp_path / "published.pth")
    model = load_embedder(tmp_path / "published.pth", device="cpu")
    exported = export_onnx(model, tmp_path / "model.onnx")
    assert exported.images == "drawn pictures", "CUB-200-2011 is not here"
    images = drawn_pictures(side=200)
    expected = model.embed(images)
    apart = (expected - expected.mean(0)).norm(dim=1).min()
    assert apart > 0.01 * expected.norm(dim=1).max(), "the images have different embeddings"
    difference = (embed(exported.path, model, images) - expected).norm(dim=1)
    assert difference.max() < 1e-3 * apart
    facts = facts_of(exported.path)
    assert json.loads(facts["embedding_dim"]) == model.dim
    assert json.loads(facts["input_size"]) == [224, 224]
    assert json.loads(facts["mean"]) == [0.485, 0.456, 0.406]
    assert json.loads(facts["std"]) == [0.229, 0.224, 0.225]


@pytest.mark.parametrize(("resize", "size"), [(96, 80), (96, 96), ((90, 70), (61, 70))])
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_the_preparation_in_the_file_is_that_of_pillow(
    interpolation: str, resize: Any, size: Any
) -> None:
    mean, std = (0.4, 0.5, 0.6), (0.2, 0.3, 0.4)
    steps = Preparation(True, resize, size, mean, std, interpolation=interpolation)
    text = preparation_graph(steps, ir_version=10, opset=18)
    session = onnxruntime.InferenceSession(onnx.parser.parse_model(text).SerializeToString())
    (picture,) = drawn_pictures(side=150)[:1]
    for width, height in ((150, 150), (101, 150), (150, 73), (97, 96), (40, 60)):
        image = picture.resize((width, height))
        (found,) = session.run(None, {"pictures": np.asarray(image)[None]})
        levels = (torch.from_numpy(found[0]) - steps(image)) * torch.tensor(std).view(3, 1, 1) * 255
        assert levels.abs().max() < 1.01
        assert levels.abs().mean() < 0.1


def test_a_preparation_that_no_file_can_hold(model: TrainedEmbedder, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^--with-preprocessing: only photos that are resized"):
        export_onnx(model, tmp_path / "model.onnx", with_preprocessing=True)
    with pytest.raises(ValueError, match=r"^--with-preprocessing: the crop \(112\) exceeds"):
        check_preparation(Preparation(True, 96, 112))
    assert list(tmp_path.iterdir()) == []


class Off(nn.Module):
    """A network that computes something else while it is exported."""

    def __init__(self, network: nn.Module, error: float) -> None:
        super().__init__()
        self.network, self.error = network, error

    def forward(self, images: Tensor) -> Tensor:
        found = self.network(images)
        return found * (1 + self.error) if torch.compiler.is_exporting() else found


@pytest.mark.parametrize("error", [0.001, float("nan")])
def test_a_mismatch_is_refused(
    model: TrainedEmbedder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: float
) -> None:
    (tmp_path / "model.onnx").write_text("an earlier export")
    monkeypatch.setattr(model.network, "backbone", Off(model.network.backbone, error))
    monkeypatch.setattr(model.network.fc[0], "bias", None)
    with pytest.raises(ValueError, match="is not written") as info:
        export_onnx(model, tmp_path / "model.onnx")
    assert "gives other embeddings, by " in str(info.value)
    assert str(info.value).endswith("(allowed: 1e-04) for test images of Digits")
    assert (tmp_path / "model.onnx").read_text() == "an earlier export"
    assert len(list(tmp_path.iterdir())) == 1


def test_a_network_that_torch_cannot_export(
    model: TrainedEmbedder, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    class Branch(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            return images if images.sum() > 0 else -images

    model.network.backbone = nn.Sequential(Branch(), model.network.backbone)
    with pytest.raises(ValueError, match="torch cannot export this network to ONNX: ") as info:
        export_onnx(model, tmp_path / "model.onnx")
    assert "\n" not in str(info.value)
    assert capfd.readouterr() == ("", ""), "torch prints the whole network"
    assert list(tmp_path.iterdir()) == []
