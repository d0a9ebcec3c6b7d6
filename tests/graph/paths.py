"""Comparison of the two paths of a network."""

import copy

import torch
from torch import Tensor

from gcahng.graph import Correlation, CorrelationNetwork, batch_graph, pair_graph
from tests.graph.oracle import assert_near

CHANNELS = 8


def batch(classes: int, samples: int) -> tuple[Tensor, Tensor]:
    torch.manual_seed(1)
    z = torch.randn(classes * samples, CHANNELS, dtype=torch.float64, requires_grad=True)
    return z, torch.arange(classes).repeat(samples)


def _loss(out: Correlation) -> Tensor:
    torch.manual_seed(2)
    return sum(
        (value * torch.randn_like(value)).sum()
        for value in (out.channel_coefficients, out.node_logits, out.x)
    )


def assert_paths_agree(net: CorrelationNetwork, classes: int, samples: int) -> None:
    """Outputs, every gradient and the buffers of the two paths, same seed before each."""
    runs = []
    for build in (pair_graph, batch_graph):
        run, (z, labels) = copy.deepcopy(net), batch(classes, samples)
        torch.manual_seed(3)
        out = run(build(z, labels))
        _loss(out).backward()
        gradients = {f"grad {n}": p.grad for n, p in run.named_parameters() if p.requires_grad}
        outputs = {"eta": out.channel_coefficients, "logits": out.node_logits, "x": out.x}
        runs.append({"z": z.grad, **outputs, **gradients, **dict(run.named_buffers())})
    for name, dense in runs[0].items():
        if dense is None:
            assert runs[1][name] is None, name
        else:
            assert_near(name, dense, runs[1][name])
