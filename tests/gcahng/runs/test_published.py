"""Published checkpoints are opened."""

import logging
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from gcahng.models.weights import read_weights
from gcahng.runs.published import load_published_run
from tests.models.published_weights import BACKBONES, reference_embeddings, synthetic_state

IMAGES = torch.randn(2, 3, 224, 224, generator=torch.Generator().manual_seed(5))
SETUPS = {"Googlenet": "cub_googlenet", "Resnet50": "cub_resnet50", "DINO": "cub_dino"}
each_backbone = pytest.mark.parametrize("backbone", BACKBONES)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A checkpoint of every layout."""
    folder = tmp_path_factory.mktemp("published")
    for backbone in BACKBONES:
        torch.save(synthetic_state(backbone), folder / f"{backbone}.pth")
    return {backbone: folder / f"{backbone}.pth" for backbone in BACKBONES}


@each_backbone
def test_embeddings_are_those_of_an_independent_network(
    backbone: str, files: dict[str, Path], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "gcahng"):
        run = load_published_run(files[backbone])
    assert run.config.name == SETUPS[backbone]
    assert not run.embedder.training
    with torch.no_grad():
        ours = run.embedder(IMAGES)
    expected = reference_embeddings(backbone, read_weights(files[backbone]), IMAGES)
    assert ours.shape == (2, 384 if backbone == "DINO" else 512)
    assert (ours.norm(dim=1) - 1).abs().min() > 0.1, "not normalised"
    torch.testing.assert_close(ours, expected, atol=2e-4, rtol=2e-4)
    (line,) = caplog.messages
    assert "gnn.*" in line
    assert "softmax_classifier.* (2 keys)" in line
    assert ("feature_extractor.backbone.model.fc.weight" in line) == (backbone == "Resnet50")


def test_a_file_with_the_embedder_alone(files: dict[str, Path], tmp_path: Path) -> None:
    path, state = tmp_path / "metric.safetensors", read_weights(files["Resnet50"])
    alone = {k: v.contiguous() for k, v in state.items() if k.startswith("feature_extractor.")}
    save_file(alone, path)
    assert load_published_run(path).embedder(IMAGES).shape == (2, 512)


def test_files_of_early_pytorch_lack_counters(files: dict[str, Path], tmp_path: Path) -> None:
    state = read_weights(files["Resnet50"])
    kept = {k: v for k, v in state.items() if not k.endswith("num_batches_tracked")}
    assert len(kept) < len(state)
    torch.save({"model_state_dict": kept}, tmp_path / "old.pth")
    with torch.no_grad():
        expected = load_published_run(files["Resnet50"]).embedder(IMAGES)
        assert torch.equal(load_published_run(tmp_path / "old.pth").embedder(IMAGES), expected)


def _without(key: str) -> dict[str, Tensor]:
    state = synthetic_state("DINO")
    del state[key]
    return state


MISTAKES: dict[str, tuple[Callable[[], object], str]] = {
    "foreign": (lambda: {"a": torch.zeros(1)}, "is not a published GCA-HNG checkpoint"),
    "head": (lambda: {"softmax_classifier.bias": torch.zeros(1)}, "has none of the published"),
    "code": (lambda: {"x": torch.nn.Linear(1, 1)}, "holds more than weights"),
    "gap": (
        lambda: _without("feature_extractor.backbone.blocks.3.norm1.bias"),
        r"'backbone\.blocks\.3\.norm1\.bias' missing of 157",
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes(name: str, tmp_path: Path) -> None:
    content, sentence = MISTAKES[name]
    torch.save(content(), tmp_path / "x.pth")
    with pytest.raises(ValueError, match=sentence):
        load_published_run(tmp_path / "x.pth")
