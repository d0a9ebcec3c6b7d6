"""What does not fit is said before a run folder is made or an epoch is trained."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from gcahng.config import load_config
from gcahng.models import BACKBONES
from gcahng.runs.checkpoint import random_states
from gcahng.runs.folder import RunFolder
from gcahng.runs.loading import load_run
from gcahng.training.dry_run import rehearse
from gcahng.training.experiment import build_experiment
from tests.conftest import SMALL
from tests.data.trees import folder_tree
from tests.gcahng.training.test_trainer import _trainer

UNFIT = [
    (["embedder.backbone.args.in_channels=3"], r"'small_conv' cannot embed .*\[1, 8, 8\]"),
    (["embedder.backbone={name: resnet18}"], r"'resnet18' cannot embed .*\[1, 8, 8\]"),
    (
        ["embedder.backbone={name: timm/resnet18, args: {in_chans: 1, global_pool: ''}}"],
        r"^embedder\.backbone: .*cannot embed|expected embeddings",
    ),
    (["fabric.cuda_graphs=true"], "^fabric.cuda_graphs: expected a CUDA device"),
]


@pytest.mark.parametrize(("overrides", "words"), UNFIT)
def test_a_backbone_that_does_not_fit_the_images(overrides: list[str], words: str) -> None:
    config = load_config("digits", [*SMALL, *overrides])
    if config.embedder.backbone.name != "small_conv":
        args = {**config.embedder.backbone.args, "pretrained": False}
        backbone = config.embedder.backbone.model_copy(update={"args": args})
        embedder = config.embedder.model_copy(update={"backbone": backbone})
        config = config.model_copy(update={"embedder": embedder})
    with pytest.raises(ValueError, match=words):
        rehearse(build_experiment(config))


def test_images_of_different_shapes(monkeypatch: pytest.MonkeyPatch) -> None:
    experiment = build_experiment(load_config("digits", SMALL))
    sizes = iter([8, 9])
    monkeypatch.setattr(
        experiment.splits.train, "transform", lambda image: torch.zeros(1, 8, next(sizes))
    )
    with pytest.raises(ValueError, match=r"^data\.transform: the images of the train split"):
        rehearse(experiment)


@pytest.mark.parametrize("transform", ["digits", "glyphs"])
def test_a_transform_for_other_images(transform: str, tmp_path: Path) -> None:
    folder_tree(tmp_path, classes="abcdefghijkl", images=4)
    settings = [f"data.root={tmp_path}", f"data.transform.name={transform}", "data.workers=0"]
    settings += ["embedder.backbone={name: small_conv}", "embedder.freeze=[]"]
    with pytest.raises(ValueError, match=r"^data\.transform: the images of the train split"):
        rehearse(build_experiment(load_config("photos", settings)))


def test_nothing_is_disturbed() -> None:
    torch.manual_seed(3)
    experiment = build_experiment(load_config("digits", SMALL))
    weights = {k: v.clone() for k, v in experiment.embedder.state_dict().items()}
    before = random_states(experiment.device)
    rehearse(experiment)
    after = random_states(experiment.device)
    assert torch.equal(before["torch"], after["torch"])
    assert before["python"] == after["python"]
    assert all(torch.equal(v, weights[k]) for k, v in experiment.embedder.state_dict().items())
    assert experiment.embedder.training


class Tied(nn.Module):
    """A backbone whose two layers share their weights."""

    out_channels = 16

    def __init__(self, **_: Any) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(64, 64), nn.Linear(64, 64)
        self.second.weight = self.first.weight
        self.last = nn.Linear(64, 16)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.last(self.second(self.first(images.flatten(1)).relu()).relu())


def test_tied_weights_are_trained_and_shared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(BACKBONES.entries, "tied", Tied)
    trainer = _trainer(tmp_path, "embedder.backbone={name: tied}", "train.epochs=1")
    trainer.fit()
    shared = load_run(RunFolder(tmp_path).model).embedder
    images = torch.rand(2, 1, 8, 8)
    expected = trainer.experiment.embedder.eval()(images)
    assert torch.equal(shared(images), expected)
    assert shared.backbone.first.weight is shared.backbone.second.weight
