"""A batch as a complete graph, a node per sample and an edge per pair, and its slot-major order."""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F
from torch_geometric.data import Data

from gcahng.graph.dense.pairs import Pairs, complete_edges, endpoint_product, unordered_pairs
from gcahng.graph.precision import full_precision
from gcahng.processes import Group, own_part, world_size


@full_precision
def correlation_vectors(embeddings: Tensor) -> Tensor:
    r"""Centre each embedding over its own channels and scale it to unit length.

    .. math:: n_i = (z_i - \bar z_i) / \lVert z_i - \bar z_i \rVert

    The edge feature of a pair is :math:`e_{ij} = n_i \odot n_j`, its channel sum the Pearson
    correlation of the two embeddings. A constant embedding gives zeros.

    Shapes: [B, D] → [B, D].
    """
    centred = embeddings - embeddings.mean(dim=-1, keepdim=True)
    return F.normalize(centred, dim=-1)


def batch_graph(embeddings: Tensor, labels: Tensor) -> Data:
    r"""Build the complete batch graph with self loops, for any message-passing layer.

    .. math:: e_{ij} = \frac{(z_i - \bar z_i) \odot (z_j - \bar z_j)}
        {\lVert z_i - \bar z_i \rVert \, \lVert z_j - \bar z_j \rVert}

    Args:
        embeddings: [B, D], in any order.
        labels: [B] integer class labels.

    Returns:
        `Data(x=[B, D], edge_index=[2, B²], edge_attr=[B², D], y=[B])`, edges row-major: edge
        i·B + j goes from node i to node j.

    Source: GCA-HNG (IJCV 2025), globally correlation learning.

    Example:
        >>> z = torch.tensor([[1.0, 2, 3], [2, 4, 6], [3, 2, 1], [1, 3, 2]])
        >>> graph = batch_graph(z, labels=torch.tensor([0, 1, 0, 1]))
        >>> graph
        Data(x=[4, 3], edge_index=[2, 16], edge_attr=[16, 3], y=[4])
        >>> graph.edge_attr.sum(-1).view(4, 4)[0]  # Pearson correlations of sample 0
        tensor([ 1.0000,  1.0000, -1.0000,  0.5000])
    """
    _check_nodes(embeddings, labels)
    edge_index = complete_edges(embeddings.size(0), embeddings.device)
    vectors = correlation_vectors(embeddings)
    edge_attr = (vectors.unsqueeze(1) * vectors.unsqueeze(0)).flatten(0, 1)
    return Data(x=embeddings, edge_index=edge_index, edge_attr=edge_attr, y=labels)


def check_batch_graph(data: Data) -> None:
    """Check that `data` is a complete batch graph as built by `batch_graph`.

    PyG's `Data.validate` accepts feature rows that do not match the edges.

    Example:
        >>> graph = batch_graph(torch.randn(4, 2), torch.tensor([0, 1, 0, 1]))
        >>> graph.edge_attr = graph.edge_attr[:3]
        >>> check_batch_graph(graph)
        Traceback (most recent call last):
        ...
        ValueError: Expected 'edge_attr' with 16 rows (got [3, 2])
    """
    for name in ("x", "edge_index", "edge_attr", "y"):
        if data.get(name) is None:
            raise ValueError(f"Expected a batch graph with '{name}' (got only {data.keys()})")
    _check_nodes(data.x, data.y)
    size = data.x.size(0)
    if tuple(data.edge_index.shape) != (2, size * size):
        raise ValueError(
            f"Expected 'edge_index' of shape [2, {size * size}] for {size} nodes, all pairs and "
            f"self loops (got {list(data.edge_index.shape)})"
        )
    if data.edge_attr.dim() != 2 or data.edge_attr.size(0) != size * size:
        raise ValueError(
            f"Expected 'edge_attr' with {size * size} rows (got {list(data.edge_attr.shape)})"
        )
    expected = complete_edges(size, data.edge_index.device)
    # The same tensor needs no comparison, for which a GPU would make the host wait.
    if data.edge_index is not expected and not torch.equal(data.edge_index, expected):
        raise ValueError("Expected 'edge_index' in row-major order: edge i·B + j from i to j")


@dataclass(frozen=True)
class PairGraph:
    """The batch graph stored by unordered pairs i ≤ j: half the edges, since e_ij = e_ji.

    Attributes:
        x: [B, D] node features.
        pairs: The M = B(B+1)/2 pairs.
        edge_attr: [M, D] feature of each pair.
        y: [B] integer class labels.
    """

    x: Tensor
    pairs: Pairs
    edge_attr: Tensor
    y: Tensor


def own_pairs(num_nodes: int, device: torch.device, group: Group) -> Pairs:
    """The pairs of this process: its part of `unordered_pairs`, or without a group all of them."""
    whole = unordered_pairs(num_nodes, device)
    if group is None:
        return whole
    part = own_part(whole.row.numel(), group)
    return Pairs(whole.row[part], whole.col[part], whole.weight[part], whole.index, group)


def pair_graph(embeddings: Tensor, labels: Tensor, group: Group = None) -> PairGraph:
    """Build the graph of `batch_graph` for the dense path, each unordered pair stored once.

    Each process of a `group` has all nodes and only its own part of the pairs.

    Example:
        >>> graph = pair_graph(torch.randn(4, 2), labels=torch.tensor([0, 1, 0, 1]))
        >>> graph.edge_attr.shape, graph.pairs.to_dense(graph.edge_attr).shape
        (torch.Size([10, 2]), torch.Size([4, 4, 2]))
    """
    _check_nodes(embeddings, labels)
    pairs = own_pairs(embeddings.size(0), embeddings.device, group)
    vectors = correlation_vectors(embeddings)
    return PairGraph(embeddings, pairs, endpoint_product(vectors, pairs), labels)


def _check_nodes(embeddings: Tensor, labels: Tensor) -> None:
    if embeddings.dim() != 2 or not embeddings.is_floating_point():
        raise ValueError(
            f"Expected 'embeddings' as a floating-point [B, D] tensor "
            f"(got {embeddings.dtype} of shape {list(embeddings.shape)})"
        )
    if labels.shape != embeddings.shape[:1]:
        raise ValueError(
            f"Expected 'labels' with {embeddings.size(0)} entries (got shape {list(labels.shape)})"
        )
    if labels.is_floating_point():
        raise ValueError(f"Expected 'labels' as integers (got {labels.dtype})")


@dataclass(frozen=True)
class BatchLayout:
    """Slot-major order of a class-balanced batch: node i has class i mod S, slot i // S.

    Attributes:
        order: [B] index in the batch of the sample that becomes node i.
        classes: [S] label of each sampled class, in order of first appearance.
        samples_per_class: P, so that B = S·P.
        group: The processes that share the graph of this batch; None: this process alone.
    """

    order: Tensor
    classes: Tensor
    samples_per_class: int
    group: Group = None

    @property
    def num_sampled(self) -> int:
        """S, the number of classes in the batch."""
        return self.classes.numel()

    @property
    def labels(self) -> Tensor:
        """[B] labels of the nodes in slot-major order."""
        return self.classes.repeat(self.samples_per_class)

    def slots(self, embeddings: Tensor) -> Tensor:
        """Reorder embeddings [B, D] into slots [P, S, D], a row per slot, a column per class."""
        expected = self.order.numel()
        if embeddings.dim() != 2 or embeddings.size(0) != expected:
            raise ValueError(
                f"Expected 'embeddings' of shape [{expected}, D], one row per label "
                f"(got {list(embeddings.shape)})"
            )
        ordered = embeddings.index_select(0, self.order)
        return ordered.view(self.samples_per_class, self.num_sampled, -1)

    def to(self, device: torch.device | str) -> "BatchLayout":
        """Copy the layout to `device` without synchronising."""
        return BatchLayout(
            self.order.to(device, non_blocking=True),
            self.classes.to(device, non_blocking=True),
            self.samples_per_class,
            self.group,
        )


def batch_layout(labels: Tensor, group: Group = None) -> BatchLayout:
    """Compute the slot-major order of a class-balanced batch given in any order.

    Args:
        labels: [B] integer class labels; S ≥ 2 distinct classes with P ≥ 2 samples each, else a
            ValueError lists the counts.
        group: Processes that all have this batch and share its graph; None: this process alone.

    Example:
        >>> layout = batch_layout(torch.tensor([7, 7, 4, 4]))
        >>> layout.order, layout.labels
        (tensor([0, 2, 1, 3]), tensor([7, 4, 7, 4]))
        >>> layout.slots(torch.arange(8.0).view(4, 2)).shape
        torch.Size([2, 2, 2])
    """
    if labels.dim() != 1 or labels.is_floating_point() or labels.numel() == 0:
        raise ValueError(
            f"Expected 'labels' as a non-empty vector of integers "
            f"(got {labels.dtype} of shape {list(labels.shape)})"
        )
    classes, inverse, counts = labels.unique(return_inverse=True, return_counts=True)
    if classes.numel() < 2 or int(counts.min()) != int(counts.max()) or int(counts.min()) < 2:
        found = ", ".join(
            f"{c}: {n}" for c, n in zip(classes.tolist(), counts.tolist(), strict=True)
        )
        raise ValueError(
            "Expected a class-balanced batch: at least 2 classes with the same number (at least 2) "
            f"of samples each (got counts per class {{{found}}}); use ClassBalancedBatchSampler"
        )
    samples = int(counts[0])
    by_class = torch.argsort(inverse, stable=True).view(-1, samples)
    # Sort classes by first appearance, so that a slot-major batch stays in order.
    by_class = by_class[by_class[:, 0].argsort()]
    return BatchLayout(by_class.t().reshape(-1), labels[by_class[:, 0]].long(), samples, group)


class OwnAnchors(NamedTuple):
    """The anchors of one process, a range of the flat numbers p·S + a of all B = P·S anchors."""

    rows: slice
    total: int
    group: Group


def own_anchors(pairs: Pairs | None) -> OwnAnchors | None:
    """This process's anchors if the pairs are split over processes; None if it has all."""
    if pairs is None or pairs.group is None:
        return None
    return OwnAnchors(own_part(pairs.num_nodes, pairs.group), pairs.num_nodes, pairs.group)


def divide_among_processes(value: Tensor, own: OwnAnchors | None) -> Tensor:
    """Divide a loss that all processes compute alike by their number W, if they split the pairs."""
    return value if own is None else value / world_size(own.group)
