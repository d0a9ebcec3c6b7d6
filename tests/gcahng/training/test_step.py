"""The step of the full recipe against one written with loops."""

import copy
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.optim import AdamW

from gcahng import HardNegativeGenerator
from gcahng.losses import NPairLoss, ProxyAnchorLoss
from gcahng.training.optimizers import Optimizers
from gcahng.training.step import TrainingStep
from tests.gcahng import oracle
from tests.gcahng.training.steps import (
    CHANNELS,
    CLASSES,
    INPUTS,
    adamw,
    all_gradients,
    assert_same_state,
    batch,
    embedder,
    generator,
    make,
)
from tests.graph.oracle import assert_near

both_paths = pytest.mark.parametrize("path", ["dense", "sparse"])


def loop_iteration(
    net: nn.Module, made: HardNegativeGenerator, optimizers: Optimizers, number: int, clip: float
) -> dict[str, Tensor]:
    """One iteration as the method has it, with losses from loops."""
    images, labels, draws = batch(number)
    optimizers.embedder.zero_grad()
    optimizers.graph.zero_grad()
    z = net(images)
    metric = oracle.npair(oracle.to_slots(z, labels))
    added = oracle.added_to_metric(made, z, labels, draws[0])
    total = metric + added["synthetic"] + added["node_ce"]
    total.backward()
    nn.utils.clip_grad_value_(net.parameters(), clip)
    optimizers.embedder.step()
    nn.utils.clip_grad_value_(made.graph.parameters(), clip)
    optimizers.graph.step()

    optimizers.classifier.zero_grad()
    judged = oracle.classifier_loss(made.classifier, z, labels)
    judged.backward()
    optimizers.classifier.step()

    optimizers.graph.zero_grad()
    generated = oracle.generator_loss(made, z, labels, draws[1])
    generated.backward()
    nn.utils.clip_grad_value_(made.graph.parameters(), clip)
    optimizers.graph.step()
    return {**added, "metric": metric, "total": total, "classifier": judged, "generator": generated}


@both_paths
@pytest.mark.parametrize("clip", [10.0, 0.05])
def test_three_steps_equal_the_loop(path: str, clip: float) -> None:
    net, made = embedder(), generator(path=path)
    other_net, other = embedder(), generator()
    step, optimizers, means = make(net, made, clip=clip), adamw(other_net, other), []
    for number in range(3):
        losses = step(*batch(number))
        expected = loop_iteration(other_net, other, optimizers, number, clip)
        for name, value in expected.items():
            assert_near(f"step {number} {name}", losses[name], value)
        means.append((float(expected["metric"].detach()), float(expected["generator"].detach())))
        if number == 1:  # an epoch of two steps
            made.hardness.end_epoch()
            other.hardness.metric.fill_((means[0][0] + means[1][0]) / 2)
            other.hardness.generator.fill_((means[0][1] + means[1][1]) / 2)
    assert_same_state(net, other_net)
    assert_same_state(made.graph, other.graph)
    assert_same_state(made.classifier, other.classifier)
    assert_near("mean metric", made.hardness.metric, other.hardness.metric)
    assert made.graph.class_norm.num_batches_tracked == 6


@pytest.mark.parametrize("edge_dropout", ["off", "tied"])
@pytest.mark.parametrize("edge_heads", [1, 2])
def test_dense_and_sparse_steps_are_equal(edge_dropout: str, edge_heads: int) -> None:
    runs = []
    for path in ("dense", "sparse"):
        args = {"edge_dropout": edge_dropout, "dropout": 0.4, "edge_heads": edge_heads}
        net, made = embedder(), generator(path=path, layers=2, **args)
        step = make(net, made)
        images, labels, _ = batch()
        for seed in range(3):
            torch.manual_seed(seed)  # folding scalars and dropout are drawn within
            losses = step(images, labels)
        made.hardness.end_epoch()
        runs.append((net, made, losses))
    for name, value in runs[1][2].items():
        assert_near(name, runs[0][2][name], value)
    assert_same_state(runs[0][0], runs[1][0])
    assert_same_state(runs[0][1], runs[1][1])


def test_the_order_of_the_batch_does_not_matter() -> None:
    order, states = [0, 3, 1, 4, 2, 5], []
    images, labels, draws = batch()
    for rows in (list(range(6)), order):
        net, made = embedder(), generator()
        losses = make(net, made)(images[rows], labels[rows], draws)
        states.append((net, made, losses))
    for name, value in states[0][2].items():
        assert_near(name, states[1][2][name], value, 1e-9)
    assert_same_state(states[1][0], states[0][0], 1e-7)


def test_names_of_the_losses() -> None:
    losses = make(embedder(), generator())(*batch())
    assert set(losses) == {
        *("metric", "synthetic", "node_ce", "total", "gradient", "graph_gradient", "classifier"),
        *("generator_ce", "similarity", "diversity", "generator", "generator_gradient"),
    }
    assert all(loss.shape == () and not loss.requires_grad for loss in losses.values())
    total = losses["metric"] + losses["synthetic"] + losses["node_ce"]
    assert_near("total", losses["total"], total, 1e-13)


@both_paths
def test_bfloat16_autocast_comes_close(path: str) -> None:
    images, labels, draws = batch()
    found = []
    for dtype in (torch.bfloat16, None):
        net, made = embedder().float(), generator(path=path).float()
        context: dict[str, Callable[[], Any]] = (
            {"autocast": partial(torch.autocast, "cpu", dtype)} if dtype else {}
        )
        step = make(net, made, **context)
        losses = step(images.float(), labels, (draws[0].float(), draws[1].float()))
        found.append(losses)
        assert all(p.isfinite().all() for p in (*net.parameters(), *made.parameters()))
    for name, value in found[1].items():
        assert_near(name, found[0][name].float(), value, 0.1 if "gradient" not in name else 0.3)


def test_unbalanced_batch_raises_before_anything_moves() -> None:
    net, made = embedder(), generator()
    before = copy.deepcopy(net.state_dict())
    with pytest.raises(ValueError, match=r"\{0: 2, 1: 3\}"):
        make(net, made)(torch.zeros(5, INPUTS).double(), torch.tensor([0, 1, 1, 0, 1]))
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


def test_quirk_clip_by_value_or_by_norm() -> None:
    clip, nets = 0.02, {}
    for clip_by in ("value", "norm", None):
        net, made = embedder(), generator()
        args = {"clip": clip, "clip_by": clip_by} if clip_by else {"clip": None}
        losses = make(net, made, **args)(*batch())
        nets[clip_by] = all_gradients(net.parameters())
        graph = all_gradients(made.graph.parameters())
        assert losses["gradient"] > clip  # before clipping
        assert (graph.norm() <= clip * 1.001) == (clip_by == "norm")
        assert (graph.abs().max() <= clip) == (clip_by is not None)
    free = nets[None]
    assert_near("value", nets["value"], free.clamp(-clip, clip), 1e-13)
    assert_near("norm", nets["norm"], free * clip / free.norm(), 1e-4)
    assert (nets["value"] - nets["norm"]).abs().max() > 1e-3


def test_without_a_generator_only_the_metric_loss_trains() -> None:
    net, other = embedder(), embedder()
    images, labels, _ = batch()
    step = TrainingStep(net, NPairLoss(), None, Optimizers(AdamW(net.parameters(), lr=1e-3)))
    losses = step(images, labels)
    assert set(losses) == {"metric", "total", "gradient"}
    optimizer = AdamW(other.parameters(), lr=1e-3)
    loss = oracle.npair(oracle.to_slots(other(images), labels))
    loss.backward()
    norm = all_gradients(other.parameters()).norm()
    optimizer.step()
    assert_near("metric", losses["metric"], loss, 1e-12)
    assert_near("gradient", losses["gradient"], norm, 1e-12)
    assert_same_state(net, other)


def test_untrained_generator_leaves_its_part_out() -> None:
    none = {"gamma": 0, "similarity": 0, "diversity": 0}
    made = generator(**none)
    before = copy.deepcopy(made.classifier.state_dict())
    losses = make(embedder(), made)(*batch())
    assert {"synthetic", "node_ce"} <= set(losses)
    assert not {"classifier", "generator"} & set(losses)
    assert torch.equal(made.classifier.weight, before["weight"])
    assert made.graph.class_norm.num_batches_tracked == 1
    made.hardness.end_epoch()
    assert_near("metric", made.hardness.metric, losses["metric"], 1e-12)
    assert made.hardness.synthetic_weight(20.0) == 1


def _with_proxies(made: HardNegativeGenerator | None) -> tuple[TrainingStep, dict[str, Any]]:
    torch.manual_seed(2)
    net, loss = embedder(), ProxyAnchorLoss(CLASSES, CHANNELS).double()
    groups = [
        {"params": list(net.parameters()), "lr": 1e-3},
        {"params": list(loss.parameters()), "lr": 0.1},
    ]
    rest = adamw(net, made) if made else Optimizers(AdamW(net.parameters()))
    optimizers = Optimizers(AdamW(groups, weight_decay=0), rest.graph, rest.classifier)
    return TrainingStep(net, loss, made, optimizers), {"net": net, "loss": loss}


def test_proxies_move_by_their_own_learning_rate() -> None:
    step, parts = _with_proxies(generator())
    before = copy.deepcopy(parts)
    images, labels, draws = batch()
    losses = step(images, labels, draws)
    # The first step of AdamW moves an entry by its learning rate.
    proxies = (parts["loss"].proxies - before["loss"].proxies).abs().detach()
    weights = (parts["net"][3].weight - before["net"][3].weight).abs().detach()
    assert float(proxies.max()) == pytest.approx(0.1, rel=1e-3)
    assert float(weights.max()) == pytest.approx(1e-3, rel=1e-3)
    z = before["net"](images)
    expected = oracle.proxy_anchor(z, labels, before["loss"].proxies)
    assert_near("metric", losses["metric"], expected)


def test_synthetic_term_enters_beside_proxy_anchor() -> None:
    images, labels, draws = batch()
    made = generator(node_ce=0)
    copied = copy.deepcopy(made)
    step, parts = _with_proxies(made)
    z = copy.deepcopy(parts["net"])(images)
    losses = step(images, labels, draws)
    expected = oracle.added_to_metric(copied, z, labels, draws[0])["synthetic"]
    assert_near("synthetic", losses["synthetic"], expected)
    assert_near("total", losses["total"], losses["metric"] + expected)
    alone, other = _with_proxies(None)
    alone(images, labels)
    difference = all_gradients(parts["net"].parameters()) - all_gradients(other["net"].parameters())
    assert difference.abs().max() > 1e-2
    assert_near("proxies", parts["loss"].proxies.grad, other["loss"].proxies.grad)
