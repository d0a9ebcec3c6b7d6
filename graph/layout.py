"""Slot-major order of class-balanced batches."""

from dataclasses import dataclass

import torch
from torch import Tensor

from gcahng.processes import Group


@dataclass(frozen=True)
class BatchLayout:
    """Slot-major order of a class-balanced batch: node i has class i mod S, slot i // S.

    Attributes:
        order: [B] index in the batch of the sample that becomes node i.
        classes: [S] label of each sampled class, in order of first appearance.
        samples_per_class: P, so that B = S·P.
        group: The processes that share the graph of this batch; None: this process alone.

    Example:
        >>> layout = batch_layout(torch.tensor([5, 5, 9, 9]))
        >>> layout.num_sampled, layout.samples_per_class, layout.classes
        (2, 2, tensor([5, 9]))
        >>> embeddings = torch.tensor([[1.0], [2.0], [3.0], [4.0]])
        >>> layout.slots(embeddings).flatten(1)  # one row per slot, one column per class
        tensor([[1., 3.],
                [2., 4.]])
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
        """Reorder embeddings [B, D] into slots [P, S, D].

        Raises:
            ValueError: If the number of rows is not B.
        """
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
        labels: [B] integer class labels; S ≥ 2 distinct classes with P ≥ 2 samples each.
        group: Processes that all have this batch and share its graph; None: this process alone.

    Raises:
        ValueError: If the batch is not class-balanced; the message lists the counts.

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
