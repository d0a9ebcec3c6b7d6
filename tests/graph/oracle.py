"""The graph part of the method written out from its formulas, a node and an edge at a time.

Slow, and sharing no code with `graph`: only the parameters of its modules are read.
"""

import math

import torch
from torch import Tensor, nn

from gcahng.graph.convs.gca_conv import ComposedConv, EdgeUpdate, NodeUpdate
from gcahng.graph.correlation import CorrelationNetwork

torch.set_num_threads(1)


def assert_near(name: str, ours: Tensor, expected: Tensor, bound: float = 1e-10) -> None:
    """Largest difference at most `bound` of the largest expected entry (or of 1e-3)."""
    assert ours.shape == expected.shape, f"{name}: {ours.shape} for {expected.shape}"
    error = (ours.detach() - expected.detach()).abs().max().item()
    limit = bound * max(expected.detach().abs().max().item(), 1e-3)
    assert error <= limit, f"{name}: off by {error:.3g}, allowed {limit:.3g}"


def complete_edges(size: int) -> Tensor:
    """All ordered pairs, row-major: [2, size²]."""
    return torch.tensor([[i, j] for i in range(size) for j in range(size)]).t()


def correlation_edges(z: Tensor) -> Tensor:
    """e_ij = (c_i ⊙ c_j) / (‖c_i‖ ‖c_j‖), c the embedding minus its mean: [B², D]."""
    centred = [row - row.sum() / len(row) for row in z]
    length = [(c * c).sum().sqrt() for c in centred]
    size = range(len(z))
    return torch.stack(
        [centred[i] * centred[j] / (length[i] * length[j]) for i in size for j in size]
    )


def gelu(x: Tensor) -> Tensor:
    return 0.5 * x * (1 + torch.erf(x / math.sqrt(2)))


def layer_norm(norm: nn.LayerNorm, x: Tensor) -> Tensor:
    """Over the channels of one row."""
    centred = x - x.sum() / len(x)
    return centred / (centred.square().sum() / len(x) + 1e-5).sqrt() * norm.weight + norm.bias


def linear(module: nn.Linear, x: Tensor) -> Tensor:
    return module.weight @ x + module.bias


def activate_and_norm(norm: nn.LayerNorm, x: Tensor) -> Tensor:
    return layer_norm(norm, gelu(x))


def node_update(
    conv: NodeUpdate,
    x: Tensor,
    edge_index: Tensor,
    edge_attr: Tensor,
    y: Tensor | None,
) -> Tensor:
    """New node features, a node at a time: it attends to senders and sums the edges it sends."""
    edges = edge_index.t().tolist()
    nodes = []
    for j, h in enumerate(x):
        senders = [i for i, receiver in edges if receiver == j]
        allowed = [i for i in senders if y is None or y[i] != y[j]]
        heads = [_attend(conv, x, j, allowed, head) for head in range(conv.heads)]
        h = activate_and_norm(conv.norm, h + linear(conv.out, torch.cat(heads)))
        from_edges = torch.zeros_like(h)
        for feature, (first, _) in zip(edge_attr, edges, strict=True):
            if first == j:
                from_edges = from_edges + gelu(linear(conv.edge_to_node, feature))
        h = activate_and_norm(conv.norm, h + from_edges)
        nodes.append(node_feed_forward(conv.ffn, conv.norm, h))
    return torch.stack(nodes)


def node_feed_forward(ffn: nn.Sequential, norm: nn.LayerNorm, h: Tensor) -> Tensor:
    """The last node update, of one node."""
    return activate_and_norm(norm, h + linear(ffn[2], gelu(linear(ffn[0], h))))


def _attend(conv: NodeUpdate, x: Tensor, j: int, senders: list[int], head: int) -> Tensor:
    """Σ_i exp(s_ij) v_i / (1 + Σ_i exp(s_ij)) for one head of receiver j."""
    width = conv.in_channels // conv.heads
    part = slice(head * width, (head + 1) * width)
    query = linear(conv.query, x[j])[part]
    message, total = torch.zeros_like(query), torch.ones_like(query[0])
    for i in senders:
        key, value = linear(conv.key, x[i])[part], linear(conv.value, x[i])[part]
        weight = (query @ key / math.sqrt(width)).exp()
        message, total = message + weight * value, total + weight
    return message / total


def edge_update(conv: EdgeUpdate, x: Tensor, edge_index: Tensor, edge_attr: Tensor) -> Tensor:
    """New edge features from the new nodes, an edge at a time, without dropout."""
    width = conv.edge_dim // conv.heads
    edges = []
    for e, (i, j) in zip(edge_attr, edge_index.t().tolist(), strict=True):
        ends = [gelu(linear(conv.node_to_edge, x[n])) for n in (i, j)]
        heads = []
        for head in range(conv.heads):
            part = slice(head * width, (head + 1) * width)
            query = linear(conv.query, e)[part]
            scores = [query @ linear(conv.key, u)[part] / math.sqrt(width) for u in ends]
            total = scores[0].exp() + scores[1].exp()
            values = [linear(conv.value, u)[part] for u in ends]
            heads.append((scores[0].exp() * values[0] + scores[1].exp() * values[1]) / total)
        edges.append(
            edge_feed_forward(
                conv.ffn, conv.norm, activate_and_norm(conv.norm, torch.cat(heads) + e)
            )
        )
    return torch.stack(edges)


def edge_feed_forward(ffn: nn.Sequential, norm: nn.LayerNorm, e: Tensor) -> Tensor:
    """The last edge update, of one edge."""
    hidden = layer_norm(ffn[2], gelu(linear(ffn[0], e)))
    return activate_and_norm(norm, linear(ffn[3], hidden) + e)


def layer(
    conv: ComposedConv, x: Tensor, edge_index: Tensor, edge_attr: Tensor, y: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Nodes first, then edges with the new nodes; a layer may update only one of them."""
    if conv.nodes is not None:
        x = node_update(conv.nodes, x, edge_index, edge_attr, y)
    if conv.edges is not None:
        edge_attr = edge_update(conv.edges, x, edge_index, edge_attr)
    return x, edge_attr


def batch_norm(norm: nn.BatchNorm1d, rows: Tensor) -> Tensor:
    """Normalise with the statistics of the batch and move the running ones."""
    count = len(rows)
    mean = rows.sum(0) / count
    squares = (rows - mean).square().sum(0)
    with torch.no_grad():
        norm.running_mean.copy_(0.9 * norm.running_mean + 0.1 * mean)
        norm.running_var.copy_(0.9 * norm.running_var + 0.1 * squares / (count - 1))
        norm.num_batches_tracked += 1
    return (rows - mean) / (squares / count + 1e-5).sqrt() * norm.weight + norm.bias


def network(net: CorrelationNetwork, z: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Channel coefficients [B, B, D] and node logits, in train mode without dropout."""
    size = len(z)
    edge_index, edges = complete_edges(size), correlation_edges(z)
    x = torch.stack([linear(net.projection, row) for row in z])
    for conv in net.layers:
        x, edges = layer(conv, x, edge_index, edges, y)
    scores = [linear(net.coefficient_head, e) for e in batch_norm(net.coefficient_norm, edges)]
    eta = 1 / (1 + (-torch.stack(scores)).exp())
    logits = [linear(net.class_head, h) for h in batch_norm(net.class_norm, x)]
    return eta.view(size, size, -1), torch.stack(logits)


def candidate(
    slots: Tensor, eta: Tensor, strength: float, p: int, a: int, n: int, b: int, detach: bool
) -> Tensor:
    """Sample (n, b), pulled towards anchor (p, a) if farther away than its positive."""
    samples, classes, _ = slots.shape
    anchor, negative = slots[p, a], slots[n, b]
    anchor = anchor.detach() if detach else anchor
    near = (anchor - slots[(p + 1) % samples, a] + 1e-6).square().sum().sqrt()
    far = (anchor - negative + 1e-6).square().sum().sqrt()
    if far <= near:
        return negative
    channel = eta[p * classes + a, n * classes + b]
    return anchor + (negative - anchor) * (near + (far - near) * channel * strength) / far


def negatives(
    slots: Tensor, eta: Tensor, strength: float, draws: Tensor, detach: bool = False
) -> Tensor:
    """The candidates of each class folded one by one: [P, S, S, D]."""
    samples, classes, _ = slots.shape
    folded = []
    for p in range(samples):
        for a in range(classes):
            for b in range(classes):
                mixed = candidate(slots, eta, strength, p, a, 0, b, detach)
                for n in range(1, samples):
                    new = candidate(slots, eta, strength, p, a, n, b, detach)
                    mixed = new + draws[p, n - 1] * (mixed - new)
                folded.append(mixed)
    return torch.stack(folded).view(samples, classes, classes, -1)
