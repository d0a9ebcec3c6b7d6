"""Published checkpoints: opened, and made runs of."""

import logging
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from gcahng import load_run
from gcahng.commands.run import resume_run
from gcahng.models.weights import read_weights
from gcahng.runs.checkpoint import load_checkpoint
from gcahng.runs.embedding import load_generator
from gcahng.runs.published import import_checkpoint, load_published_run
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


@each_backbone
def test_import_makes_a_run_with_graph_and_classifier(
    backbone: str, files: dict[str, Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    overrides = ["data.root=/data"]
    config, folder = import_checkpoint(files[backbone], tmp_path / "run", overrides=overrides)
    assert config.name == SETUPS[backbone], "found by its backbone and its number of classes"
    assert "update_node" in caplog.text
    assert "gnn.cls" not in caplog.text
    loaded = load_run(folder.path)
    assert (loaded.epoch, loaded.config.data.root) == (None, "/data")
    direct = load_published_run(files[backbone]).embedder.state_dict()
    for source in (folder.path, folder.model):
        ours = load_run(source).embedder.state_dict()
        assert ours.keys() == direct.keys()
        assert all(torch.equal(ours[name], direct[name]) for name in ours)
    state, generator = read_weights(files[backbone]), load_generator(loaded)
    assert generator is not None
    layer = generator.graph.layers[1]
    assert torch.equal(layer.edges.ffn[3].weight, state["gnn.gnn.1.edge_model.linear.3.weight"])
    assert torch.equal(generator.graph.class_head.bias, state["gnn.cls.0.bias"])
    assert torch.equal(generator.classifier.weight, state["softmax_classifier.weight"])
    assert load_checkpoint(folder.last)["num_classes"] == 100


def test_an_imported_run_is_not_trained_on(files: dict[str, Path], tmp_path: Path) -> None:
    _, folder = import_checkpoint(files["DINO"], tmp_path / "run")
    with pytest.raises(ValueError, match="imported model without optimizer states"):
        resume_run(folder)
    with pytest.raises(FileExistsError, match="already holds a run"):
        import_checkpoint(files["DINO"], folder.path)


def test_a_file_with_the_embedder_alone(files: dict[str, Path], tmp_path: Path) -> None:
    path, state = tmp_path / "metric.safetensors", read_weights(files["Resnet50"])
    alone = {k: v.contiguous() for k, v in state.items() if k.startswith("feature_extractor.")}
    save_file(alone, path)
    assert load_published_run(path).embedder(IMAGES).shape == (2, 512)
    with pytest.raises(ValueError, match="no classifier, so it does not say which data set"):
        import_checkpoint(path, tmp_path / "a")
    config, folder = import_checkpoint(path, tmp_path / "b", "paper/cars_resnet50")
    assert config.generator is None
    assert load_run(folder.path).config.data.name == "cars"


def test_nothing_of_the_graph_is_lost_in_silence(
    files: dict[str, Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    one_layer = ["generator.args.graph.layers=1"]
    with pytest.raises(ValueError, match=r"more of a graph than the generator's 1 layers, such as"):
        import_checkpoint(files["DINO"], tmp_path / "a", overrides=one_layer)
    with pytest.raises(ValueError, match="trained on 100 classes, but sop has 11318"):
        import_checkpoint(files["DINO"], tmp_path / "a", "paper/sop_dino")
    with pytest.raises(ValueError, match="does not hold the weights of the embedder of paper/cub_"):
        import_checkpoint(files["DINO"], tmp_path / "a", "paper/cub_resnet50")
    assert not (tmp_path / "a").exists()

    state = synthetic_state("DINO")
    for key in ("softmax_classifier.weight", "softmax_classifier.bias"):
        del state[key]
    torch.save(state, tmp_path / "unjudged.pth")
    config, folder = import_checkpoint(tmp_path / "unjudged.pth", tmp_path / "b", "paper/cub_dino")
    assert config.generator is None, "a graph without its classifier cannot go on"
    assert "generator" not in load_checkpoint(folder.best)
    assert "gnn.*" in caplog.text


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
