"""Files of weights: damaged ones are noticed."""

from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from gcahng.models import build_backbone
from gcahng.models.weights import load_strictly, read_weights, strip_prefixes

# As in experiments/digits.yaml.
SMALL_CONV = {"channels": [32, 64, 64], "strides": [1, 2, 2]}


WRAPPED = [
    lambda state: {f"module.{k}": v for k, v in state.items()},
    lambda state: {"state_dict": {f"_orig_mod.{k}": v for k, v in state.items()}},
    lambda state: {"teacher": {f"module.backbone.{k}": v for k, v in state.items()}},
    lambda state: {"model": {f"backbone.{k}": v for k, v in state.items()}},
]


@pytest.mark.parametrize("wrap", WRAPPED)
def test_what_wrappers_add_is_removed(
    wrap: Callable[[dict[str, Any]], dict[str, Any]], tmp_path: Path
) -> None:
    torch.manual_seed(1)
    trained = build_backbone("timm/resnet18", untrained=True, in_chans=1)
    torch.save(wrap(trained.state_dict()), tmp_path / "x.pt")
    torch.manual_seed(2)
    loaded = build_backbone("timm/resnet18", in_chans=1, weights=tmp_path / "x.pt")
    assert torch.equal(loaded.conv1.weight, trained.conv1.weight)


def test_our_own_checkpoints_are_a_start(digits_run: Path) -> None:
    best = torch.load(digits_run / "checkpoints" / "best.pt", weights_only=True)["embedder"]
    for file in ("model.safetensors", "checkpoints/best.pt"):
        network = build_backbone("small_conv", **SMALL_CONV)
        state = strip_prefixes(read_weights(digits_run / file), network.state_dict())
        load_strictly(network, state, file, "the backbone")
        name, value = next(iter(network.state_dict().items()))
        assert torch.equal(value, best[f"backbone.{name}"])


FOREIGN = [
    (lambda path: torch.save(torch.nn.Linear(1, 1), path), r"holds more than weights, torch\.nn"),
    (lambda path: torch.save({"args": Namespace(a=1)}, path), r"argparse\.Namespace"),
    (lambda path: path.write_bytes(b"nothing of the kind"), "cannot be read as a checkpoint"),
]


@pytest.mark.parametrize(("write", "words"), FOREIGN)
def test_files_of_another_kind(write: Callable[[Path], object], words: str, tmp_path: Path) -> None:
    write(tmp_path / "x.pt")
    with pytest.raises(ValueError, match=words):
        read_weights(tmp_path / "x.pt")
