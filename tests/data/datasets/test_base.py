import pytest
import torch

from gcahng.data import ClassSubset, split_classes
from tests.data.toy import Toy


def test_items_are_transformed_images_with_integer_labels() -> None:
    dataset = Toy(transform=lambda image: torch.tensor(image.getpixel((0, 0))))
    image, label = dataset[5]
    assert image.tolist() == [5, 0, 2]
    assert type(label) is int
    assert label == 2
    assert Toy()[5][0].size == (100, 60)
    assert (len(dataset), dataset.num_classes) == (11, 4)
    assert repr(dataset) == "Toy(split='train', classes=4, images=11)"


def test_subset_renumbers_and_keeps_names_images_and_queries() -> None:
    dataset = Toy()
    subset = ClassSubset(dataset, [2, 0], transform=lambda image: image.getpixel((0, 0))[0])
    assert subset.classes == ["class_2", "class_0"]
    assert subset.labels.tolist() == [1, 1, 1, 0, 0, 0, 0]
    assert [subset[i][0] for i in range(len(subset))] == [0, 1, 2, 5, 6, 7, 8]
    assert subset.is_query is not None
    assert subset.is_query.tolist() == [True, False, True, False, True, False, True]
    assert (subset.name, subset.split, subset.transform_name) == ("Toy", "train", "glyphs")
    dataset.is_query = None
    assert ClassSubset(dataset, [1, 3]).is_query is None


@pytest.mark.parametrize("class_ids", [[], [0, 0], [4], [-1, 2]])
def test_subset_refuses_bad_classes(class_ids: list[int]) -> None:
    with pytest.raises(ValueError, match=r"distinct numbers in 0\.\.3"):
        ClassSubset(Toy(), class_ids)


def test_split_classes_is_a_seeded_partition() -> None:
    train, validation = split_classes(50, 0.2, seed=3)
    assert len(validation) == 10
    assert sorted(train + validation) == list(range(50))
    assert train == sorted(train)
    assert (train, validation) == split_classes(50, 0.2, seed=3)
    assert validation != split_classes(50, 0.2, seed=4)[1]


@pytest.mark.parametrize(
    ("share", "gives"),
    [(0.0, "between 0 and 1"), (0.1, "A test .* gives 1 for test"), (0.9, "9 for")],
)
def test_split_classes_leaves_two_on_either_side(share: float, gives: str) -> None:
    with pytest.raises(ValueError, match=gives):
        split_classes(10, share, seed=0, part="test")
