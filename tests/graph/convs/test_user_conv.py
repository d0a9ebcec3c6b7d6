import sys
from pathlib import Path

import pytest
import torch

from gcahng.graph import CONVS, build_conv
from tests.graph.convs.samples import LABELS, complete

SOURCE = """
from torch import nn

class Plain(nn.Module):
    def __init__(self, in_channels, edge_dim, shift=1.0):
        super().__init__()
        self.linear = nn.Linear(in_channels, in_channels)
        self.shift = shift

    def forward(self, x, edge_index, edge_attr):
        return self.linear(x), edge_attr + self.shift

class Labelled(Plain):
    def forward(self, x, edge_index, edge_attr, y):
        return x + y.unsqueeze(1), edge_attr

class NodesAlone(Plain):
    def forward(self, x, edge_index, edge_attr):
        return x

class Narrow(Plain):
    def forward(self, x, edge_index, edge_attr):
        return x[:, 1:], edge_attr

class WrongForward(Plain):
    def forward(self, x, edge_index):
        return x, edge_index

class NotAModule:
    pass

def function(in_channels, edge_dim):
    return Plain(in_channels, edge_dim)
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The user's module in the current folder, by a name of its own for each test."""
    name = f"own_{tmp_path.name}"
    (tmp_path / f"{name}.py").write_text(SOURCE)
    monkeypatch.chdir(tmp_path)
    # As for a console script, which does not search the current folder.
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry])
    return name


def test_runs_in_the_current_folder(module: str) -> None:
    x, edge_index, edges = complete()
    conv = build_conv({"name": f"{module}:Plain", "args": {"shift": 2.0}}, 4, 6).double()
    out = conv(x, edge_index, edges, LABELS)
    assert torch.equal(out[0], conv.layer.linear(x))
    assert torch.equal(out[1], edges + 2)


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        ("no_such_module:Conv", "there is no module 'no_such_module' in .* or on the import path"),
        ("{}.inner:Conv", r"there is no module 'own_\w+.inner' in"),
        ("{}:Plian", r"own_\w+.py'> has no class 'Plian' \(did you mean 'Plain'\?\)"),
        ("{}:NotAModule", r"to be a torch.nn.Module class \(got a class\)"),
        ("{}:function", r"to be a torch.nn.Module class \(got a function\)"),
        ("{}:", r"unknown layer 'own_\w+:'; .* a class of your own as module.path:ClassName"),
        ("layers/mine.py:Conv", r"unknown layer 'layers/mine.py:Conv'; .* as module.path:Class"),
        ("{}:WrongForward", r"forward\(x, edge_index, edge_attr, y\) \(got forward\(x, edge_index"),
    ],
)
def test_wrong_layers(module: str, layer: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build_conv(layer.format(module), 4, 6)


@pytest.mark.parametrize(
    ("name", "found"),
    [("NodesAlone", "a Tensor"), ("Narrow", r"x \[6, 3\] and edge_attr \[36, 6\]")],
)
def test_wrong_outputs(module: str, name: str, found: str) -> None:
    conv = build_conv(f"{module}:{name}", 4, 6)
    expected = rf":{name}' to return x \[6, 4\] and edge_attr \[36, 6\] \(got {found}\)$"
    with pytest.raises(ValueError, match=expected):
        conv(*complete(), LABELS)


def test_errors_within_the_module_are_raised_as_they_are(module: str) -> None:
    Path(f"{module}_broken.py").write_text("import no_such_library")
    with pytest.raises(ModuleNotFoundError, match="no_such_library"):
        CONVS.find(f"{module}_broken:Conv")
