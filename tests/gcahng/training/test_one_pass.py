"""The step with one graph pass, against one written with loops."""

import gc
import weakref
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from gcahng import HardNegativeGenerator
from gcahng.generators import HardNegatives
from gcahng.generators.graph_pass import GraphPass
from gcahng.training.optimizers import Optimizers
from tests.gcahng import oracle
from tests.gcahng.training.steps import (
    adamw,
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
    """One iteration of the variant, with losses from loops."""
    images, labels, (draws, _) = batch(number)
    for optimizer in optimizers:
        optimizer.zero_grad()
    z = net(images)
    added, eta = oracle.one_pass(made, z, labels, draws)
    metric = oracle.npair(oracle.to_slots(z, labels))
    total = metric + added["synthetic"] + added["node_ce"]
    total.backward(inputs=list(net.parameters()), retain_graph=True)
    nn.utils.clip_grad_value_(net.parameters(), clip)

    judged = oracle.classifier_loss(made.classifier, z, labels)
    judged.backward()
    optimizers.classifier.step()

    generated = oracle.generator_loss(made, z, labels, draws, eta)
    graph = [p for p in made.graph.parameters() if p.requires_grad]
    (generated + added["node_ce"]).backward(inputs=graph)
    norm = nn.utils.get_total_norm([p.grad for p in graph if p.grad is not None])
    nn.utils.clip_grad_value_(graph, clip)
    optimizers.embedder.step()
    optimizers.graph.step()
    losses = {**added, "metric": metric, "total": total, "classifier": judged}
    return {**losses, "generator": generated, "graph_gradient": norm}


@both_paths
@pytest.mark.parametrize("clip", [10.0, 0.05])
def test_three_steps_equal_the_loop(path: str, clip: float) -> None:
    net, made = embedder(), generator(path=path, passes="one")
    other_net, other = embedder(), generator()
    step, optimizers, means = make(net, made, clip=clip), adamw(other_net, other), []
    for number in range(3):
        losses = step(*batch(number))
        expected = loop_iteration(other_net, other, optimizers, number, clip)
        for name, value in expected.items():
            assert_near(f"step {number} {name}", losses[name], value)
        means.append(expected["generator"].item())
    made.hardness.end_epoch()
    assert_same_state(net, other_net)
    assert_same_state(made.graph, other.graph)
    assert_same_state(made.classifier, other.classifier)
    assert_near("J_gen", made.hardness.generator, torch.tensor(means, dtype=torch.float64).mean())
    assert made.graph.class_norm.num_batches_tracked == 3


@pytest.mark.parametrize("edge_dropout", ["off", "tied"])
@pytest.mark.parametrize("memory", ["balanced", "low"])
def test_dense_and_sparse_steps_are_equal(edge_dropout: str, memory: str) -> None:
    runs = []
    for path in ("dense", "sparse"):
        args = {"edge_dropout": edge_dropout, "dropout": 0.4, "memory": memory, "layers": 2}
        net, made = embedder(), generator(path=path, passes="one", **args)
        step = make(net, made)
        images, labels, _ = batch()
        for seed in range(3):
            torch.manual_seed(seed)  # folding scalars and dropout are drawn within
            losses = step(images, labels)
        runs.append((net, made, losses))
    for name, value in runs[1][2].items():
        assert_near(name, runs[0][2][name], value)
    assert_same_state(runs[0][0], runs[1][0])
    assert_same_state(runs[0][1], runs[1][1])


def test_chunks_of_the_batch_change_nothing() -> None:
    runs = []
    for chunk in (None, 2):
        torch.manual_seed(0)
        net, made = nn.Linear(5, 8).double(), generator(passes="one")
        losses = make(net, made, chunk=chunk)(*batch())
        runs.append((net, made, losses))
    for name, value in runs[0][2].items():
        assert_near(name, runs[1][2][name], value)
    assert_same_state(runs[1][0], runs[0][0])
    assert_same_state(runs[1][1], runs[0][1])


def test_names_of_the_losses() -> None:
    losses = make(embedder(), generator(passes="one"))(*batch())
    two = make(embedder(), generator())(*batch())
    assert set(two) - set(losses) == {"generator_gradient"}
    assert set(losses) < set(two)
    assert all(not loss.requires_grad for loss in losses.values())


def test_the_linear_class_loss_trains_its_head_in_the_same_graph_step() -> None:
    net, made = embedder(), generator(passes="one", linear_ce_weight=0.5)
    step = make(net, made)
    assert made.linear_head is not None
    step.optimizers.graph.add_param_group({"params": list(made.linear_head.parameters())})
    before = made.linear_head[1].weight.detach().clone()
    step(*batch())
    assert not torch.equal(before, made.linear_head[1].weight)


@both_paths
def test_bfloat16_autocast_comes_close(path: str) -> None:
    images, labels, draws = batch()
    found = []
    for dtype in (torch.bfloat16, None):
        net, made = embedder().float(), generator(path=path, passes="one").float()
        context: dict[str, Any] = (
            {"autocast": partial(torch.autocast, "cpu", dtype)} if dtype else {}
        )
        step = make(net, made, **context)
        found.append(step(images.float(), labels, (draws[0].float(), draws[1].float())))
        assert all(p.isfinite().all() for p in (*net.parameters(), *made.parameters()))
    for name, value in found[1].items():
        assert_near(name, found[0][name].float(), value, 0.1 if "gradient" not in name else 0.3)


def test_no_activation_outlives_the_step(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[weakref.ref[Tensor]] = []
    whole = GraphPass.take

    def take(self: GraphPass) -> Any:
        parts = whole(self)
        taken.append(weakref.ref(parts[0]))
        return parts

    monkeypatch.setattr(GraphPass, "take", take)
    kept: list[HardNegatives] = []
    losses = make(embedder(), generator(passes="one"))(*batch(), observe=kept.append)
    gc.collect()
    assert taken[0]() is None
    assert kept[0].graph_pass is None
    del losses
