from pathlib import Path

import pytest
import torch
from torch import Tensor

from gcahng import HardNegativeGenerator
from gcahng.models.published import split_published_state
from tests.golden import load_golden, method_golden_files

golden_files = pytest.mark.parametrize("path", method_golden_files())


def recorded_state(path: Path) -> dict[str, Tensor]:
    tensors = load_golden(path).tensors
    return {key[5:]: value for key, value in tensors.items() if key.startswith("init.")}


@golden_files
def test_every_recorded_key_has_a_place(path: Path) -> None:
    golden, state = load_golden(path), recorded_state(path)
    parts = split_published_state(state)
    places = (parts.embedder, parts.graph, parts.classifier, parts.unused)
    assert sum(len(place) for place in places) == len(state)
    generator: HardNegativeGenerator = golden.generator()
    for module, found in (
        (golden.embedder(), parts.embedder),
        (generator.graph, parts.graph),
        (generator.classifier, parts.classifier),
    ):
        expected = module.state_dict()
        assert found.keys() == expected.keys()
        assert all(found[name].shape == expected[name].shape for name in expected)


@pytest.mark.parametrize(
    "key",
    [
        "optimizer.lr",
        "gnn.something.weight",
        "gnn.gnn.0.node_model.layers.1.att.out.weight",
        "gnn.gnn.0.edge_model.update_node.weight",
        "weight",
    ],
)
def test_a_foreign_key_raises_and_is_named(key: str) -> None:
    with pytest.raises(ValueError, match="published") as info:
        split_published_state({key: torch.zeros(1)})
    assert repr(key) in str(info.value)
