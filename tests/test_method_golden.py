"""The method as a whole against the published implementation, on every recorded training."""

import math
from pathlib import Path

import pytest
import torch
from torch import Tensor

from gcahng.graph import (
    CorrelationNetwork,
    batch_graph,
    batch_layout,
    pair_graph,
    synthetic_negatives,
)
from gcahng.graph.convs import gca_conv
from gcahng.graph.dense import edge_update
from gcahng.losses import NPairLoss, ProxyAnchorLoss, synthetic_npair
from gcahng.losses.generator import diversity
from gcahng.losses.npair import norm_penalty, slot_by_slot
from gcahng.models.published import graph_name
from gcahng.training.step import Optimizers, TrainingStep
from tests.golden import Golden, assert_close, load_golden, method_golden_files

COMPONENT, STATE = 1e-11, 1e-10

golden_files = pytest.mark.parametrize("path", method_golden_files())
dropout_files = pytest.mark.parametrize("path", method_golden_files("dropout.embeddings"))
graph_paths = pytest.mark.parametrize("graph_path", ["sparse", "dense"])


@golden_files
def test_batch_graph_golden(path: Path) -> None:
    golden = load_golden(path)
    data = batch_graph(golden["component.embeddings"], golden["component.labels"])
    assert torch.equal(data.edge_index.t(), golden["component.edge_index"])
    assert_close("edge_attr", data.edge_attr, golden["component.edge_attr_init"], COMPONENT)


@golden_files
def test_layers_golden(path: Path) -> None:
    golden = load_golden(path)
    network = golden.generator().graph
    data = batch_graph(golden["component.embeddings"], golden["component.labels"])
    pairs = pair_graph(golden["component.embeddings"], golden["component.labels"]).pairs
    x, edge_attr = network.projection(data.x), data.edge_attr
    assert_close("projection", x, golden["component.nodes_projected"], COMPONENT)
    upper = pairs.row * data.num_nodes + pairs.col
    for number, layer in enumerate(network.layers):
        dense_x = layer.pair_nodes(x, pairs, edge_attr[upper], data.y)
        dense_edges = pairs.to_dense(layer.pair_edges(dense_x, pairs, edge_attr[upper])[0])
        x, edge_attr = layer(x, data.edge_index, edge_attr, data.y)
        for kind, nodes, edges in (("sparse", x, edge_attr), ("dense", dense_x, dense_edges)):
            name = f"component.layer{number}"
            assert_close(f"{kind} nodes", nodes, golden[f"{name}.nodes"], COMPONENT)
            assert_close(f"{kind} edges", edges, golden[f"{name}.edges"], COMPONENT)


@golden_files
@graph_paths
def test_heads_golden(path: Path, graph_path: str) -> None:
    golden = load_golden(path)
    network = golden.generator().graph
    build = batch_graph if graph_path == "sparse" else pair_graph
    graph = build(golden["component.embeddings"], golden["component.labels"])
    for mode in ("eval.", ""):
        out = network.train(mode == "")(graph)
        eta = golden[f"component.{mode}channel_coefficients"]
        assert_close("coefficients", out.channel_coefficients, eta, COMPONENT)
        logits = golden[f"component.{mode}node_logits"]
        assert_close("node logits", out.node_logits, logits, COMPONENT)


@golden_files
@graph_paths
def test_negatives_losses_and_gradients_golden(path: Path, graph_path: str) -> None:
    golden = load_golden(path)
    embeddings = golden["component.embeddings"].clone().requires_grad_()
    labels = golden["component.labels"]
    network = golden.generator().graph
    build = batch_graph if graph_path == "sparse" else pair_graph
    out = network(build(embeddings, labels))
    slots = batch_layout(labels).slots(embeddings)
    strength = math.exp(-golden.meta["alpha"] / golden.meta["component_j_avg"])
    draws = golden["component.mix_draws"].view(golden.fold_shape)
    negatives = synthetic_negatives(slots, out.channel_coefficients, strength, draws)
    assert_close("negatives", negatives, golden["component.negatives"], COMPONENT)

    losses = {
        "npair": slot_by_slot(slots) + norm_penalty(slots),
        "synthetic_npair": synthetic_npair(slots, negatives),
        "diversity": diversity(out.channel_coefficients),
        "node_ce": torch.nn.functional.cross_entropy(out.node_logits, labels),
    }
    for name, loss in losses.items():
        assert_close(name, loss, golden[f"component.loss.{name}"], COMPONENT)
    sum(losses.values()).backward()
    assert_close("embeddings", embeddings.grad, golden["component.grad.embeddings"], COMPONENT)
    compared = 0
    for key in golden.tensors:
        if key.startswith("component.grad.gnn."):
            name = graph_name(key.removeprefix("component.grad.gnn."))
            gradient = network.get_parameter(name).grad
            assert_close(name, gradient, golden[key], COMPONENT)
            compared += 1
    assert compared == sum(p.requires_grad for p in network.parameters())


@dropout_files
@graph_paths
def test_independent_dropout_golden(
    path: Path, graph_path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    golden = load_golden(path)
    meta = golden.meta
    network = CorrelationNetwork(
        meta["embedding_dim"],
        meta["num_classes"],
        meta["layers"],
        heads=meta["heads"],
        dropout=meta["dropout"],
        edge_dropout="independent",
    ).double()
    network.load_state_dict(golden.published("init.").graph)
    masks = [
        golden[f"dropout.layer{number}.mask"].unsqueeze(-1) for number in range(meta["layers"])
    ]
    for module in (gca_conv, edge_update):
        monkeypatch.setattr(module, "endpoint_dropout_mask", lambda *_: masks.pop(0))
    embeddings = golden["dropout.embeddings"].clone().requires_grad_()
    build = batch_graph if graph_path == "sparse" else pair_graph
    out = network(build(embeddings, golden["dropout.labels"]))
    assert not masks
    last = f"dropout.layer{meta['layers'] - 1}"
    edges = out.edge_attr if out.pairs is None else out.pairs.to_dense(out.edge_attr)
    eta, logits = out.channel_coefficients, out.node_logits
    assert_close("nodes", out.x, golden[f"{last}.nodes"], COMPONENT)
    assert_close("edges", edges, golden[f"{last}.edges"], COMPONENT)
    assert_close("coefficients", eta, golden["dropout.channel_coefficients"], COMPONENT)
    assert_close("node logits", logits, golden["dropout.node_logits"], COMPONENT)

    of_eta = golden["dropout.upstream.channel_coefficients"].view_as(eta)
    of_logits = golden["dropout.upstream.node_logits"]
    ((eta * of_eta).sum() + (logits * of_logits).sum()).backward()
    gradients = {
        graph_name(key.removeprefix("dropout.grad.gnn.")): golden[key]
        for key in golden.tensors
        if key.startswith("dropout.grad.gnn.")
    }
    assert gradients.keys() == {n for n, p in network.named_parameters() if p.requires_grad}
    for name, gradient in gradients.items():
        assert_close(name, network.get_parameter(name).grad, gradient, COMPONENT)
    assert_close("embeddings", embeddings.grad, golden["dropout.grad.embeddings"], COMPONENT)


@golden_files
def test_proxy_anchor_golden(path: Path) -> None:
    golden = load_golden(path)
    loss = ProxyAnchorLoss(golden.meta["num_classes"], golden.meta["embedding_dim"]).double()
    loss.proxies.data.copy_(golden["component.proxies"])
    value = loss(golden["component.embeddings"], golden["component.labels"])
    assert_close("proxy_anchor", value, golden["component.loss.proxy_anchor"], COMPONENT)


def training_step(golden: Golden, graph_path: str) -> TrainingStep:
    meta = golden.meta
    embedder, generator = golden.embedder(), golden.generator(graph_path)

    def adamw(parameters: list[Tensor], lr: float, weight_decay: float) -> torch.optim.AdamW:
        betas = tuple(meta["adamw_betas"])
        return torch.optim.AdamW(
            parameters, lr=lr, weight_decay=weight_decay, betas=betas, eps=meta["eps"]
        )

    optimizers = Optimizers(
        adamw(list(embedder.parameters()), meta["lr_metric"], meta["weight_decay"]),
        adamw(list(generator.graph.parameters()), meta["lr_gnn"], meta["weight_decay"]),
        adamw(list(generator.classifier.parameters()), meta["lr_classifier"], 0.01),
    )
    clip = meta["grad_clip_value"]
    return TrainingStep(embedder, NPairLoss(), generator, optimizers, clip=clip, clip_by="value")


@golden_files
@graph_paths
def test_training_steps_golden(path: Path, graph_path: str) -> None:
    golden = load_golden(path)
    step = training_step(golden, graph_path)
    names = {
        "J_m": "metric",
        "J_gnnce": "node_ce",
        "J_syn": "synthetic",
        "J_metric": "total",
        "J_softce": "classifier",
        "J_div": "diversity",
        "J_gence": "generator_ce",
        "J_gen": "generator",
    }
    recorded = zip(golden.meta["step_j"], golden.meta["step_metrics"], golden.draws(), strict=True)
    for number, ((metric, generated), figures, draws) in enumerate(recorded):
        hardness = step.generator.hardness
        hardness.metric.fill_(metric)
        hardness.generator.fill_(generated)
        losses = step(
            golden[f"step{number}.inputs"], golden[f"step{number}.labels"], (draws[0], draws[1])
        )
        for published, ours in names.items():
            value = torch.tensor(figures[published], dtype=torch.float64)
            assert_close(f"step {number} {ours}", losses[ours], value, COMPONENT)

    final = golden.published("final.")
    for module, state in (
        (step.embedder, final.embedder),
        (step.generator.graph, final.graph),
        (step.generator.classifier, final.classifier),
    ):
        ours = module.state_dict()
        assert ours.keys() == state.keys()
        for name, value in ours.items():
            assert_close(name, value, state[name], STATE)
