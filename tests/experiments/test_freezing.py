"""Which tensors change and which stay fixed in the published experiments, epoch by epoch."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from gcahng.training.trainer import Trainer
from tests.experiments.setups import make_trees, reduced, trainer

KINDS = ("weights", "norm weights", "norm statistics", "fc", "fc statistics")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    # So few images that an epoch is a single step.
    return make_trees(tmp_path_factory.mktemp("data"), images=3)


def _kind(name: str, norms: set[str]) -> str:
    where, _, tensor = name.rpartition(".")
    if tensor.startswith(("running", "num_batches")):
        return "fc statistics" if where.startswith("fc") else "norm statistics"
    if where.startswith("fc"):
        return "fc"
    return "norm weights" if where in norms else "weights"


def moved(run: Trainer) -> set[str]:
    """Train an epoch; return the kinds of tensors of which at least one has changed."""
    embedder = run.experiment.embedder
    modules = embedder.named_modules()
    norms = {name for name, module in modules if isinstance(module, torch.nn.BatchNorm2d)}
    before: dict[str, Tensor] = {k: v.clone() for k, v in embedder.state_dict().items()}
    run.train_epoch()
    after = embedder.state_dict()
    return {_kind(k, norms) for k, v in before.items() if not torch.equal(v, after[k])}


@pytest.mark.slow
@pytest.mark.parametrize("quirk", ["faithful", "corrected"])
def test_resnet50_with_frozen_norms(root: Path, tmp_path: Path, quirk: str) -> None:
    run = trainer(reduced("paper/cub_resnet50", root, f"quirks={quirk}"), tmp_path)
    for _ in range(2):
        assert moved(run) == {"fc", "fc statistics"}, "the warm-up trains the fc alone"
    expected = {"weights", "fc", "fc statistics"}
    # The published code unfreezes these together with the backbone after the warm-up.
    assert moved(run) == (expected | {"norm weights"} if quirk == "faithful" else expected)


def test_without_a_warm_up_nothing_thaws(root: Path, tmp_path: Path) -> None:
    config = reduced("paper/cub_resnet50", root, "train.warmup_epochs=0")
    assert moved(trainer(config, tmp_path)) == {"weights", "fc", "fc statistics"}


def test_googlenet_freezes_statistics_alone(root: Path, tmp_path: Path) -> None:
    run = trainer(reduced("paper/cub_googlenet", root), tmp_path)
    assert moved(run) == {"fc", "fc statistics"}
    assert moved(run) == {"weights", "norm weights", "fc", "fc statistics"}


def test_resnet50_without_frozen_norms(root: Path, tmp_path: Path) -> None:
    run = trainer(reduced("paper/sop_resnet50", root), tmp_path)
    assert moved(run) == {"norm statistics", "fc", "fc statistics"}, "statistics know no warm-up"
    assert moved(run) == set(KINDS)


def test_dino_patches_are_in_eval_mode_and_train(root: Path, tmp_path: Path) -> None:
    run = trainer(reduced("paper/sop_dino", root, "train.warmup_epochs=0"), tmp_path)
    patches = run.experiment.embedder.backbone.patch_embed
    before = patches.proj.weight.detach().clone()
    linear = run.experiment.embedder.fc[1]
    torch.testing.assert_close(linear.weight @ linear.weight.T, torch.eye(384))
    assert not linear.bias.any()
    run.train_epoch()
    assert not patches.training
    assert run.experiment.embedder.backbone.blocks.training
    assert not torch.equal(before, patches.proj.weight), "eval mode stops no gradient"
