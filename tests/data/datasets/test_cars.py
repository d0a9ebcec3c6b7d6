from pathlib import Path

import pytest
from torchvision.datasets import StanfordCars

from gcahng.data import Cars
from tests.data.trees import cars_split_tree, cars_tree


def by_class(dataset: Cars) -> dict[str, list[tuple[int, int, int]]]:
    """The images of each class, sorted, because each layout has a different order."""
    pixels: dict[str, list[bytes]] = {name: [] for name in dataset.classes}
    for i, label in enumerate(dataset.labels.tolist()):
        pixels[dataset.classes[label]].append(dataset.load(i).tobytes())
    return {name: sorted(images) for name, images in pixels.items()}


@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize(("nested", "labels"), [(False, ""), (True, ""), (True, "devkit")])
def test_both_archives_hold_the_same(tmp_path: Path, split: str, nested: bool, labels: str) -> None:
    cars_tree(tmp_path / "whole", train=3, test=4, images=3)
    cars_split_tree(tmp_path / "halves", train=3, test=4, images=3, nested=nested, labels=labels)
    whole, halves = Cars(tmp_path / "whole", split), Cars(tmp_path / "halves", split)
    assert halves.classes == whole.classes
    assert halves.labels.bincount().tolist() == [3] * len(whole.classes)
    assert by_class(halves) == by_class(whole)


@pytest.mark.parametrize(("split", "half"), [("train", 1), ("train", 0), ("test", 1)])
def test_classes_are_those_that_torchvision_reads(tmp_path: Path, split: str, half: int) -> None:
    cars_split_tree(tmp_path, train=3, test=4, images=4)
    theirs = StanfordCars(tmp_path, split=("test", "train")[half])
    known = {str(path): theirs.classes[label] for path, label in theirs._samples}
    ours = Cars(tmp_path, split)
    names = [ours.classes[label] for label in ours.labels.tolist()]
    both = [(name, known[p]) for p, name in zip(ours.paths, names, strict=True) if p in known]
    assert len(both) == len(ours) / 2
    assert all(name == other.replace(" ", "_").replace("/", "") for name, other in both)


def test_missing_annotations_are_named(tmp_path: Path) -> None:
    cars_split_tree(tmp_path, labels=None)
    with pytest.raises(FileNotFoundError, match=r"^There is no cars_test_annos_withlabels.mat in"):
        Cars(tmp_path)
