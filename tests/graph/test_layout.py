import pytest
import torch
from torch import Tensor

from gcahng.graph import batch_layout


def test_any_order_in_slot_major_out() -> None:
    labels = torch.tensor([7, 2, 7, 5, 2, 5, 5, 7, 2])
    layout = batch_layout(labels)
    assert layout.samples_per_class == 3
    assert layout.num_sampled == 3
    assert layout.classes.tolist() == [7, 2, 5]
    assert layout.labels.tolist() == [7, 2, 5] * 3
    # Slots keep the order in which a class's samples came.
    assert layout.order.tolist() == [0, 1, 3, 2, 4, 5, 7, 8, 6]


def test_slot_major_batch_keeps_its_order() -> None:
    labels = torch.tensor([9, 0, 4]).repeat(4)
    assert batch_layout(labels).order.tolist() == list(range(12))


@pytest.mark.parametrize("labels", [[0, 0, 1, 1, 1], [4, 4, 4], [0, 1, 2], [5, 3, 3, 5, 9]])
def test_refuses_unbalanced_labels_with_their_counts(labels: list[int]) -> None:
    with pytest.raises(ValueError, match="class-balanced") as info:
        batch_layout(torch.tensor(labels))
    assert str({label: labels.count(label) for label in sorted(labels)}) in str(info.value)


@pytest.mark.parametrize("labels", [torch.rand(4), torch.zeros(0).long(), torch.ones(2, 2).long()])
def test_refuses_what_are_no_labels(labels: Tensor) -> None:
    with pytest.raises(ValueError, match="non-empty vector of integers") as info:
        batch_layout(labels)
    assert str(list(labels.shape)) in str(info.value)


def test_slots_reorder_rows_and_pass_gradients() -> None:
    labels = torch.tensor([1, 1, 0, 0])
    z = torch.arange(8.0).view(4, 2).requires_grad_()
    slots = batch_layout(labels).slots(z)
    assert slots.tolist() == [[[0, 1], [4, 5]], [[2, 3], [6, 7]]]
    slots[1, 0].sum().backward()
    assert z.grad.tolist() == [[0, 0], [1, 1], [0, 0], [0, 0]]


@pytest.mark.parametrize("shape", [(3, 2), (5, 2), (4,), (4, 2, 2)])
def test_slots_refuse_other_shapes(shape: tuple[int, ...]) -> None:
    layout = batch_layout(torch.tensor([0, 1, 0, 1]))
    with pytest.raises(ValueError, match=r"'embeddings' of shape \[4, D\]") as info:
        layout.slots(torch.zeros(shape))
    assert str(list(shape)) in str(info.value)
