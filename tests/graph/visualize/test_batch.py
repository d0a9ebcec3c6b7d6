import pytest
import torch
from torch_geometric.data import Data

from gcahng.graph import batch_graph
from gcahng.graph.visualize.batch import class_numbers, class_slots, class_titles, describe


def _graph(labels: list[int]) -> Data:
    torch.manual_seed(0)
    return batch_graph(torch.randn(len(labels), 4), torch.tensor(labels))


def test_classes_count_from_their_first_image() -> None:
    graph = _graph([7, 3, 7, 9, 3])
    assert class_numbers(graph).tolist() == [0, 1, 0, 2, 1]
    assert class_titles(graph) == ["class 7", "class 3", "class 9"]


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        ([4, 5, 4, 5, 4, 5], "2 classes × 3 images"),
        ([4, 4], "1 class × 2 images"),
        ([4, 5], "2 classes × 1 image"),
        ([4, 5, 5], "2 classes × 1 to 2 images"),
    ],
)
def test_describe(labels: list[int], words: str) -> None:
    assert describe(_graph(labels)) == words


def test_slots_of_a_slot_major_batch(graph: Data) -> None:
    slots = class_slots(graph)
    assert slots.shape == (3, 5, 16)
    torch.testing.assert_close(slots[2, 1], graph.x[2 * 5 + 1])


@pytest.mark.parametrize("labels", [[1, 1, 2, 2], [1, 2, 1], [1, 2, 2, 1]])
def test_slots_of_another_order(labels: list[int]) -> None:
    with pytest.raises(ValueError, match=r"^Expected nodes in slot-major order, node i of class"):
        class_slots(_graph(labels))
