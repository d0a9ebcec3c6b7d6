"""Models that embed in another way have another fingerprint, also with the same weights."""

import sys
from pathlib import Path

import pytest
import torch

from gcahng.inference.embedder import TrainedEmbedder, load_embedder
from gcahng.inference.indexing import index_folder
from tests.gcahng.inference.conftest import write_model

STRIDES = "embedder.backbone.args={in_channels: 3, channels: [8, 16], strides: %s}"
OWN = """
from torch import nn

class Net(nn.Module):
    out_channels = 8

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3)

    def forward(self, images):
        return self.conv(images).POOLED(dim=(2, 3))
"""


def same_weights(one: TrainedEmbedder, other: TrainedEmbedder) -> bool:
    weights = other.network.state_dict()
    return all(torch.equal(value, weights[key]) for key, value in one.network.state_dict().items())


@pytest.mark.parametrize(
    ("setting", "differs"),
    [
        (STRIDES % "[1, 2]", True),
        ("data.transform.test.size=32", True),
        ("embedder.normalize=true", True),
        ("data.transform.test.mean=[0, 0, 0]", True),
        (STRIDES % "[2, 2]", False),
        ("loss.name=proxy_anchor", False),
    ],
)
def test_settings(model: TrainedEmbedder, tmp_path: Path, setting: str, differs: bool) -> None:
    write_model(tmp_path, 0, setting)
    other = load_embedder(tmp_path)
    assert same_weights(model, other)
    assert (other.fingerprint != model.fingerprint) is differs


def test_where_weights_come_from_does_not_count(tmp_path: Path) -> None:
    resnet = ["embedder.backbone.name=resnet50"]
    argument = "embedder.backbone.args={%s}"
    made = {}
    for name, args in {
        "a": "pretrained: false",
        "b": "weights: /home/me/resnet50.pth",
        "c": "pretrained: false, pooling: avg",
    }.items():
        write_model(tmp_path / name, 0, *resnet, argument % args)
        made[name] = load_embedder(tmp_path / name)
    assert same_weights(made["a"], made["c"])
    assert made["a"].fingerprint == made["b"].fingerprint != made["c"].fingerprint


def test_the_code_of_a_users_backbone(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)

    def opened(pooling: str, name: str) -> TrainedEmbedder:
        monkeypatch.delitem(sys.modules, "own_net", raising=False)
        (tmp_path / "own_net.py").write_text(OWN.replace("POOLED", pooling))
        # A compiled version of the same second would be taken for that of the changed file.
        monkeypatch.setattr(sys, "dont_write_bytecode", True)
        own = ["embedder.backbone.name=own_net:Net", "embedder.backbone.args={}"]
        write_model(tmp_path / name, 0, *own)
        made = load_embedder(tmp_path / name, trust=True)
        assert made.fingerprint  # reads the code as it is now
        return made

    mean, again, largest = (opened(*pair) for pair in (("mean", "a"), ("mean", "b"), ("amax", "c")))
    assert same_weights(mean, largest)
    assert mean.fingerprint == again.fingerprint != largest.fingerprint
    index_folder(mean, photos, tmp_path / "store")
    with pytest.raises(ValueError, match="embeddings of different models cannot be compared"):
        index_folder(largest, photos, tmp_path / "store")
