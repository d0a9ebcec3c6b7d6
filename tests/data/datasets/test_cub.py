from pathlib import Path

import pytest

from gcahng.data import CUB
from tests.data.trees import cub_tree


def test_the_first_hundred_classes_train_and_the_others_test(tmp_path: Path) -> None:
    home = cub_tree(tmp_path, train=2, test=3, images=2)
    train, test = CUB(tmp_path), CUB(tmp_path, "test")
    assert train.classes == ["099.Bird_of_99", "100.Bird_of_100"]
    assert test.classes == ["101.Bird_of_101", "102.Bird_of_102", "103.Bird_of_103"]
    # By train_test_split.txt, every other image would belong to the other split.
    assert train.labels.tolist() == [0, 0, 1, 1]
    assert train.paths[2] == f"{home}/images/100.Bird_of_100/Bird_of_100_0000_1000.jpg"
    assert train.is_query is None
    assert train.name == "CUB"


def test_images_that_no_class_is_given_for_are_refused(tmp_path: Path) -> None:
    home = cub_tree(tmp_path)
    labels = (home / "image_class_labels.txt").read_text().splitlines()
    (home / "image_class_labels.txt").write_text("\n".join(labels[:3] + labels[4:]))
    with pytest.raises(ValueError, match=rf"^'{home}': image 4 of images.txt has no class in"):
        CUB(tmp_path)
    (home / "image_class_labels.txt").write_text("\n".join(labels).replace("4 99", "4 9x"))
    with pytest.raises(ValueError, match=r"image 4 of images.txt has no class"):
        CUB(tmp_path)
