"""What does not fit is said before a run folder is made or an epoch is trained."""

from pathlib import Path

import pytest
import torch

from gcahng.config import load_config
from gcahng.runs.checkpoint import random_states
from gcahng.training.dry_run import rehearse
from gcahng.training.experiment import build_experiment
from tests.conftest import SMALL
from tests.data.trees import folder_tree

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
