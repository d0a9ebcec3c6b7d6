"""From settings to a generator: what reaches it, and what is refused."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch

from gcahng.builders.networks import build_embedder, build_generator
from gcahng.config import load_config
from gcahng.generators import GENERATORS, HardNegativeGenerator


def generator(*overrides: str) -> Any:
    return build_generator(load_config("digits", list(overrides)), 5)


@pytest.mark.parametrize("name", sorted(GENERATORS))
def test_every_name_builds_from_a_file_written_for_gca_hng(name: str) -> None:
    made = generator(f"generator.name={name}", "generator.args.synthetic_weight=0.3")
    assert type(made) is GENERATORS[name]
    assert made.synthetic_weight == 0.3


def test_arguments_and_quirks_reach_it() -> None:
    made = generator("generator.args.graph.heads=2", "generator.args.weights={gamma: 3}")
    assert isinstance(made, HardNegativeGenerator)
    assert (made.alpha, len(made.graph.layers), made.weights["gamma"]) == (2.0, 1, 3.0)
    assert made.quirks == set()
    faithful = ["quirks.clip=faithful", "quirks.edge_heads=faithful"]
    assert generator(*faithful).quirks == {"edge_heads"}
    assert generator(*faithful, "generator.name=das").scale == (0.5, 2.0)


def test_layers_are_mixed_and_ones_own_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "my_layers.py").write_text(
        "import torch\n"
        "class Halved(torch.nn.Module):\n"
        "    def __init__(self, in_channels, edge_dim, factor=0.5):\n"
        "        super().__init__()\n"
        "        self.factor = torch.nn.Parameter(torch.tensor(factor))\n"
        "    def forward(self, x, edge_index, edge_attr):\n"
        "        return x * self.factor, edge_attr * self.factor\n"
    )
    monkeypatch.chdir(tmp_path)
    layers = "[gca, gatv2, {name: 'my_layers:Halved', args: {factor: 0.25}}]"
    made = generator(f"generator.args.graph.layers={layers}")
    kinds = [type(layer).__name__ for layer in made.graph.layers]
    assert kinds == ["GCAConv", "PyGConv", "UserConv"]
    assert made.graph.layers[2].layer.factor == 0.25
    z = torch.randn(6, 32, requires_grad=True)
    made(z, torch.arange(3).repeat(2)).total.backward()
    assert torch.isfinite(z.grad).all()
    assert (
        generator("generator.args.graph.conv=my_layers:Halved").graph.layers[0].layer.factor == 0.5
    )


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        (["generator.args.graph.conv=gatv"], "generator.args: unknown layer 'gatv'"),
        (["generator.args.graph.conv=nowhere:Conv"], "there is no module 'nowhere'"),
        (["generator.args.graph.layers=two"], "generator.args.graph.layers: expected an integer"),
        (["generator.args.graph.layer=2"], "'generator.args.graph.layer' (did you mean"),
        (["generator.args.graph.layers=[{nam: gca}]"], "key 'generator.args.graph.layers[0].name'"),
        (["generator.args.weights.gama=2"], "unknown key 'generator.args.weights.gama' (did you"),
        (["generator.args.beta=much"], "generator.args.beta: expected a number, got 'much'"),
        (["generator.args.gamma=2"], "generator.args: generator 'gca_hng' takes no 'gamma'"),
        (["generator.name=scalar", "generator.args.valeu=1"], "'valeu' (did you mean 'value'?)"),
        (["generator.name=unmoved", "generator.args.value=0"], "'unmoved' takes no 'value'"),
        (["generator.name=hdlm"], "generator.name: unknown generator 'hdlm' (did you mean 'hd"),
        (["generator.name=scalar", "generator.args.value=2"], "generator.args.value: expected a"),
        (["embedder.dim=10"], "generator.args: Expected 'in_channels' divisible by 4 heads"),
    ],
)
def test_mistakes(overrides: list[str], sentence: str) -> None:
    with pytest.raises(ValueError, match=re.escape(sentence)):
        generator(*overrides)


NOTHING = ["embedder.head=none", "generator=null", "train.epochs=0"]


@pytest.mark.parametrize("dim", ["null", "128"])
def test_without_a_head_the_features_are_the_embeddings(dim: str) -> None:
    embedder = build_embedder(load_config("quickstart", [*NOTHING, f"embedder.dim={dim}"])).eval()
    images = torch.rand(2, 1, 32, 32)
    assert embedder.embedding_dim == 128
    assert torch.equal(embedder(images), embedder.backbone(images))


def test_without_a_head_nothing_is_trained() -> None:
    with pytest.raises(ValueError, match=r"embedder\.head: expected another one"):
        load_config("quickstart", [*NOTHING, "train.epochs=1"])
    config = load_config("quickstart", [*NOTHING, "embedder.dim=64"])
    with pytest.raises(ValueError, match=r"embedder\.dim: expected null or 128"):
        build_embedder(config)
