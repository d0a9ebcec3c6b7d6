"""Published checkpoints: opened, made runs of, and written back."""

import logging
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from gcahng import HardNegativeGenerator, load_published_checkpoint, load_run
from gcahng.commands.train import resume_run
from gcahng.models.weights import read_weights
from gcahng.runs.checkpoint import load_checkpoint
from gcahng.runs.published import export_checkpoint, import_checkpoint
from tests.models.published_weights import (
    BACKBONES,
    layouts,
    reference_embeddings,
    synthetic_state,
)

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
@pytest.mark.parametrize("spell", [str, str.lower, str.upper])
def test_embeddings_are_those_of_an_independent_network(
    backbone: str, spell: type[str], files: dict[str, Path]
) -> None:
    embedder = load_published_checkpoint(files[backbone], spell(backbone))
    assert not embedder.training
    with torch.no_grad():
        ours = embedder(IMAGES)
    expected = reference_embeddings(backbone, read_weights(files[backbone]), IMAGES)
    assert ours.shape == (2, 384 if backbone == "DINO" else 512)
    assert (ours.norm(dim=1) - 1).abs().min() > 0.1, "not normalised"
    torch.testing.assert_close(ours, expected, atol=2e-4, rtol=2e-4)


def test_unused_keys_are_named_in_one_line(
    files: dict[str, Path], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "gcahng"):
        load_published_checkpoint(files["Resnet50"], "resnet50")
    (line,) = caplog.messages
    assert "feature_extractor.backbone.model.fc.weight" in line
    assert "gnn.*" in line
    assert "softmax_classifier.* (2 keys)" in line


@each_backbone
def test_graph_and_classifier_when_asked(
    backbone: str, files: dict[str, Path], caplog: pytest.LogCaptureFixture
) -> None:
    dim = 384 if backbone == "DINO" else 512
    generator = HardNegativeGenerator(dim, 100)
    load_published_checkpoint(files[backbone], backbone, generator=generator)
    state = read_weights(files[backbone])
    layer = generator.graph.layers[1]
    assert torch.equal(layer.edges.ffn[3].weight, state["gnn.gnn.1.edge_model.linear.3.weight"])
    assert torch.equal(generator.graph.class_head.bias, state["gnn.cls.0.bias"])
    assert torch.equal(generator.classifier.weight, state["softmax_classifier.weight"])
    assert "update_node" in caplog.text
    assert "gnn.cls" not in caplog.text


@each_backbone
def test_import_makes_a_run_that_export_turns_back(
    backbone: str, files: dict[str, Path], tmp_path: Path
) -> None:
    config, folder = import_checkpoint(files[backbone], tmp_path / "run")
    assert config.name == SETUPS[backbone], "found by its backbone and its number of classes"
    loaded = load_run(folder.path)
    assert loaded.epoch is None
    direct = load_published_checkpoint(files[backbone], backbone).state_dict()
    ours = loaded.embedder.state_dict()
    assert ours.keys() == direct.keys()
    assert all(torch.equal(ours[name], direct[name]) for name in ours)
    shared = load_run(folder.model).embedder.state_dict()
    assert all(torch.equal(shared[name], direct[name]) for name in shared)

    export_checkpoint(folder.path, tmp_path / "back.pth")
    before, after = read_weights(files[backbone]), read_weights(tmp_path / "back.pth")
    spec = layouts()[backbone]
    assert {k: (list(v.shape), str(v.dtype).removeprefix("torch.")) for k, v in after.items()} == {
        key: (shape, dtype) for key, (shape, dtype) in spec.items()
    }
    unused = [k for k in spec if "update_node" in k or k.startswith(_head(backbone))]
    assert unused
    assert all(not after[key].any() for key in unused)
    assert all(torch.equal(before[key], after[key]) for key in spec if key not in unused)


def _head(backbone: str) -> str:
    return {
        "Googlenet": "feature_extractor.backbone.fc.",
        "Resnet50": "feature_extractor.backbone.model.fc.",
    }.get(backbone, "nothing")


def test_an_imported_run_holds_the_whole_model(files: dict[str, Path], tmp_path: Path) -> None:
    _, folder = import_checkpoint(files["DINO"], tmp_path / "run", overrides=["data.root=/data"])
    state = load_checkpoint(folder.last)
    assert {"embedder", "generator"} <= state.keys()
    assert state["num_classes"] == 100
    published = read_weights(files["DINO"])
    assert torch.equal(state["generator"]["classifier.bias"], published["softmax_classifier.bias"])
    assert load_run(folder.path, last=True).config.data.root == "/data"
    with pytest.raises(FileExistsError, match="already holds a run"):
        import_checkpoint(files["DINO"], folder.path)


def test_an_imported_run_is_not_trained_on(files: dict[str, Path], tmp_path: Path) -> None:
    _, folder = import_checkpoint(files["DINO"], tmp_path / "run")
    with pytest.raises(ValueError, match="imported model without optimizer states"):
        resume_run(folder)


def _embedder_alone(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {k: v.contiguous() for k, v in state.items() if k.startswith("feature_extractor.")}


def test_a_file_with_the_embedder_alone(files: dict[str, Path], tmp_path: Path) -> None:
    path = tmp_path / "metric.safetensors"
    save_file(_embedder_alone(read_weights(files["Resnet50"])), path)
    assert load_published_checkpoint(path, "RESNET50")(IMAGES).shape == (2, 512)
    with pytest.raises(ValueError, match="no classifier, so it does not say which data set"):
        import_checkpoint(path, tmp_path / "a")
    config, folder = import_checkpoint(path, tmp_path / "b", "paper/cars_resnet50")
    assert config.generator is None
    assert load_run(folder.path).config.data.name == "cars"
    export_checkpoint(folder.path, tmp_path / "back.pth")
    assert read_weights(tmp_path / "back.pth").keys() == _embedder_alone(read_weights(path)).keys()
    generator = HardNegativeGenerator(512, 100)
    with pytest.raises(ValueError, match="does not hold the weights of the generator's graph"):
        load_published_checkpoint(path, "Resnet50", generator=generator)


def test_nothing_of_the_graph_is_lost_in_silence(
    files: dict[str, Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    one_layer = ["generator.args.graph.layers=1"]
    with pytest.raises(ValueError, match=r"more of a graph than the generator's 1 layers, such as"):
        import_checkpoint(files["DINO"], tmp_path / "a", overrides=one_layer)
    with pytest.raises(ValueError, match="trained on 100 classes, but sop has 11318"):
        import_checkpoint(files["DINO"], tmp_path / "a", "paper/sop_dino")
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
    embedder = load_published_checkpoint(tmp_path / "old.pth", "Resnet50")
    with torch.no_grad():
        expected = load_published_checkpoint(files["Resnet50"], "Resnet50")(IMAGES)
        assert torch.equal(embedder(IMAGES), expected)


def test_export_says_what_the_layout_cannot(
    files: dict[str, Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = ["embedder.normalize=true", "embedder.backbone.args.pooling=avg"]
    _, folder = import_checkpoint(files["Resnet50"], tmp_path / "run", overrides=settings)
    caplog.clear()
    export_checkpoint(folder.path, tmp_path / "out.pth")
    assert "does not store normalize=True, pooling=avg" in caplog.text


def test_mistakes(files: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="unknown published backbone 'resnet'"):
        load_published_checkpoint(files["Resnet50"], "resnet")
    with pytest.raises(ValueError, match="does not hold the weights of the embedder of DINO"):
        load_published_checkpoint(files["Resnet50"], "DINO")
    with pytest.raises(FileNotFoundError, match="no checkpoint at"):
        load_published_checkpoint(tmp_path / "none.pth", "DINO")
    torch.save({"a": torch.zeros(1)}, tmp_path / "foreign.pth")
    with pytest.raises(ValueError, match=r"foreign\.pth' is not a published GCA-HNG checkpoint"):
        load_published_checkpoint(tmp_path / "foreign.pth", "DINO")
    torch.save({"softmax_classifier.bias": torch.zeros(1)}, tmp_path / "head.pth")
    with pytest.raises(ValueError, match="does not hold a published GCA-HNG embedder"):
        load_published_checkpoint(tmp_path / "head.pth", "DINO")
    generator = HardNegativeGenerator(384, 98)
    with pytest.raises(ValueError, match=r"'class_head\.weight' has shape \(100, 384\), expected"):
        load_published_checkpoint(files["DINO"], "DINO", generator=generator)
    torch.save({"x": torch.nn.Linear(1, 1)}, tmp_path / "code.pth")
    with pytest.raises(ValueError, match="holds more than weights"):
        load_published_checkpoint(tmp_path / "code.pth", "DINO")
    state = synthetic_state("DINO")
    del state["feature_extractor.backbone.blocks.3.norm1.bias"]
    torch.save(state, tmp_path / "gap.pth")
    with pytest.raises(ValueError, match=r"'backbone\.blocks\.3\.norm1\.bias' missing of 157"):
        load_published_checkpoint(tmp_path / "gap.pth", "DINO")
    with pytest.raises(ValueError, match="does not hold the weights of the embedder of paper/cub_"):
        import_checkpoint(files["DINO"], tmp_path / "run", "paper/cub_resnet50")
    assert not (tmp_path / "run").exists(), "a checkpoint that does not fit leaves nothing"


def test_only_published_backbones_can_be_exported(tmp_path: Path) -> None:
    from tests.gcahng.training.test_trainer import _trainer

    trainer = _trainer(tmp_path / "run", "train.epochs=1")
    trainer.fit()
    with pytest.raises(ValueError, match=r"has the backbones .*googlenet.* \(got 'small_conv'\)"):
        export_checkpoint(trainer.folder.path, tmp_path / "x.pth")
    assert not (tmp_path / "x.pth").exists()
