"""Steps that leave something out, clip, or train proxies as well."""

import copy
from typing import Any

import pytest
import torch
from torch.optim import AdamW

from gcahng import HardNegativeGenerator
from gcahng.losses import NPairLoss, ProxyAnchorLoss
from gcahng.training.optimizers import Optimizers
from gcahng.training.step import TrainingStep
from tests.gcahng import oracle
from tests.gcahng.training.steps import (
    CHANNELS,
    CLASSES,
    adamw,
    all_gradients,
    assert_same_state,
    batch,
    embedder,
    generator,
    make,
)
from tests.graph.oracle import assert_near


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


def test_refuses_another_way_to_clip() -> None:
    with pytest.raises(ValueError, match=r"'clip_by' as value or norm .*'size'"):
        make(embedder(), generator(), clip_by="size")


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


def test_terms_of_weight_0() -> None:
    made = generator(node_ce=0, synthetic_weight=0)
    losses = make(embedder(), made)(*batch())
    assert torch.equal(losses["total"], losses["metric"])
    assert not {"synthetic", "node_ce"} & set(losses)


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
