"""A setting that was chosen for an experiment and does nothing in it is refused."""

from pathlib import Path

import pytest

from gcahng.ablation.grid import read_grid
from gcahng.builders.effect import check_effect
from gcahng.builders.networks import build_generator, build_loss
from gcahng.config import ExperimentConfig, dump_config, load_config, parse_config
from gcahng.config.layers import packaged_experiments
from gcahng.generators import GENERATORS


def check(config: ExperimentConfig) -> None:
    check_effect(config, build_loss(config, 5), build_generator(config, 5))


UNMOVED = "generator.name=unmoved"
WRONG = [
    (
        [UNMOVED, "generator.gamma=99"],
        "generator.gamma has no effect: generator 'unmoved' takes generator.synthetic_weight; in "
        "generator.args: linear_ce_weight, normalize, temperature, detach_anchor",
    ),
    ([UNMOVED, "generator.alpha=7"], "generator.alpha has no effect: generator 'unmoved' takes"),
    ([UNMOVED, "generator.graph.layers=9"], "generator.graph.layers has no effect: generator"),
    ([UNMOVED, "quirks.similarity_mask=faithful"], "quirks.similarity_mask has no effect: gen"),
    (["generator=null", "quirks.edge_heads=faithful"], "no effect: generator is null"),
    (
        ["generator.graph.conv=mlp", "generator.graph.heads=8"],
        "generator.graph.heads has no effect: no layer of the graph (mlp) takes 'heads'",
    ),
    (
        ["generator.graph.conv=gca_node_only", "generator.graph.dropout=off"],
        "generator.graph.dropout has no effect: no layer of the graph (gca_node_only) takes",
    ),
    (
        ["generator.graph.layers=[gca]", "generator.graph.conv=mlp"],
        "generator.graph.conv has no effect: generator.graph.layers lists the layers",
    ),
    (
        ["generator.graph.layers=0", "generator.graph.memory=low"],
        "no layer of the graph (it has none) takes 'memory'",
    ),
    (
        ["generator.graph.path=sparse", "generator.graph.memory=low"],
        "generator.graph.memory has no effect: generator.graph.path is sparse, and only",
    ),
    (
        ["generator.graph.dropout=off", "generator.graph.dropout_rate=0.5"],
        "generator.graph.dropout_rate has no effect: generator.graph.dropout is off",
    ),
    (["loss.lr=0.1"], "loss.lr has no effect: metric loss 'npair' has no trainable parameters"),
    (["generator=null", "optim.graph.lr=0.1"], "optim.graph.lr has no effect: generator is null"),
    (["generator.name=das", "optim.classifier.lr=0.1"], "optim.classifier.lr has no effect: gen"),
    (
        ["optim.embedder.schedule={name: cosine, every: 3}"],
        "optim.embedder.schedule.every has no effect: a cosine schedule does not use it",
    ),
    (["optim.classifier.schedule.gamma=0.3"], "optim.classifier.schedule.gamma has no effect"),
    (
        ["embedder.freeze=[backbone]", "batch.chunk=4"],
        "batch.chunk has no effect: the backbone is frozen (embedder.freeze), and its features are "
        "computed before",
    ),
    (
        ["embedder.freeze=[backbone]", "train.warmup_epochs=1"],
        "train.warmup_epochs has no effect: the backbone is frozen (embedder.freeze)",
    ),
    (
        ["embedder.freeze=[bn]", "data.views=2"],
        "data.views has no effect: only embedder.freeze=[backbone] keeps views; others are drawn "
        "anew",
    ),
    (
        ["embedder.head=residual", "embedder.init=orthogonal"],
        "embedder.init has no effect: a residual head starts in its own way",
    ),
    (["data.validation_seed=1"], "data.validation_seed has no effect: data.validation is 0"),
]


@pytest.mark.parametrize(("overrides", "sentence"), WRONG, ids=lambda value: str(value)[:60])
def test_it_is_refused(overrides: list[str], sentence: str) -> None:
    with pytest.raises(ValueError, match="has no effect") as info:
        check(load_config("digits", overrides))
    assert sentence in str(info.value)


@pytest.mark.parametrize(
    "overrides",
    [
        # What the base file says for GCA-HNG is ignored.
        *([f"generator.name={name}"] for name in sorted(GENERATORS)),
        ["generator=null"],
        ["generator.name=hdml", "generator.alpha=3.0", "generator.synthetic_weight=0.5"],
        ["generator.graph.conv=mlp", "quirks=faithful"],
        [UNMOVED, "quirks=faithful"],
        # Its number of heads is that of the edge attention.
        ["generator.graph.conv=gine", "generator.graph.heads=8"],
        ["generator.graph.layers=[mlp, gca]", "generator.graph.heads=8"],
        ["loss.name=proxy_anchor", "loss.lr=0.1"],
        ["optim.embedder.schedule={name: step, every: 3, gamma: 0.1}"],
        ["generator.name=class_loss", "optim.graph.lr=0.1"],
        ["data.validation=0.4", "data.validation_seed=1"],
        ["embedder.freeze=[backbone]", "data.views=2"],
    ],
)
def test_what_has_an_effect_or_is_inherited_is_not(overrides: list[str]) -> None:
    check(load_config("digits", overrides))


def test_a_resolved_configuration_may_hold_everything(tmp_path: Path) -> None:
    config = load_config("digits", [UNMOVED])
    (tmp_path / "config.yaml").write_text(dump_config(config))
    check(load_config(tmp_path / "config.yaml"))
    check(parse_config(dump_config(config), "config.yaml"))
    with pytest.raises(ValueError, match=r"generator\.beta has no effect"):
        check(load_config(tmp_path / "config.yaml", ["generator.beta=2.0"]))


def test_a_file_of_a_trained_backbone_with_another_one_frozen() -> None:
    config = load_config("paper/cub_resnet50", ["embedder.freeze=[backbone]"])
    assert config.train.warmup_epochs == 2
    check(config)


def test_a_file_that_builds_on_another_generator(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("base: digits\ngenerator: {name: unmoved}\n")
    check(load_config(file))
    file.write_text("base: digits\ngenerator: {name: unmoved, gamma: 2.0}\n")
    with pytest.raises(ValueError, match=r"generator\.gamma has no effect"):
        check(load_config(file))


@pytest.mark.parametrize("name", packaged_experiments())
def test_packaged_experiments_set_nothing_in_vain(name: str) -> None:
    check(load_config(name))


def test_common_settings_of_a_grid_need_not_have_an_effect_in_each_cell(tmp_path: Path) -> None:
    file = tmp_path / "grid.yaml"
    text = (
        "base: digits\nreference: full\nsettings: {generator.gamma: 3.0}\n"
        "cells: {full: {}, unmoved: {generator.name: unmoved}}\n"
    )
    file.write_text(text)
    assert list(read_grid(file).cells) == ["full", "unmoved"]
    file.write_text(text.replace("name: unmoved", "name: unmoved, generator.beta: 3.0"))
    with pytest.raises(ValueError, match=r"^cell 'unmoved': generator\.beta has no effect"):
        read_grid(file)


@pytest.mark.parametrize(
    "overrides",
    [
        ["embedder.dim=10", UNMOVED],
        ["embedder.dim=10", "generator=null"],
        ["embedder.dim=10", "generator.graph.conv=mlp"],
    ],
)
def test_any_width_will_do_without_heads(overrides: list[str]) -> None:
    check(load_config("digits", overrides))


@pytest.mark.parametrize("conv", ["gca", "gca_edge_only", "gatv2", "gine"])
def test_heads_divide_the_width(conv: str) -> None:
    config = load_config("digits", ["embedder.dim=10", f"generator.graph.conv={conv}"])
    with pytest.raises(ValueError, match="multiple") as info:
        check(config)
    expected = "embedder.dim: expected a multiple of generator.graph.heads (4), got 10"
    assert str(info.value) == expected
