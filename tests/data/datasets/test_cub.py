from pathlib import Path

import pytest

from gcahng.data import CUB
from tests.data.trees import cub_tree


def test_images_that_no_class_is_given_for_are_refused(tmp_path: Path) -> None:
    home = cub_tree(tmp_path)
    labels = (home / "image_class_labels.txt").read_text().splitlines()
    (home / "image_class_labels.txt").write_text("\n".join(labels[:3] + labels[4:]))
    with pytest.raises(ValueError, match=rf"^'{home}': image 4 of images.txt has no class in"):
        CUB(tmp_path)
    (home / "image_class_labels.txt").write_text("\n".join(labels).replace("4 99", "4 9x"))
    with pytest.raises(ValueError, match=r"image 4 of images.txt has no class"):
        CUB(tmp_path)
