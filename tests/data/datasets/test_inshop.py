from pathlib import Path

import pytest

from gcahng.data import InShop
from tests.data.trees import inshop_tree

HEADER = "image_name item_id evaluation_status"


def write(home: Path, *lines: str) -> None:
    (home / "list_eval_partition.txt").write_text("\n".join(lines) + "\n")


def test_queries_and_gallery_are_the_test_split_in_the_order_of_the_file(tmp_path: Path) -> None:
    home = inshop_tree(tmp_path, train=2, test=2, images=2)
    train, test = InShop(tmp_path), InShop(tmp_path, "test")
    assert train.classes == ["id_00000002", "id_00000003"]
    assert train.labels.tolist() == [1, 1, 0, 0]
    assert train.is_query is None
    assert test.classes == ["id_00000004", "id_00000005"]
    assert test.labels.tolist() == [1, 1, 1, 1, 0, 0, 0, 0]
    assert test.is_query is not None
    assert test.is_query.tolist() == [True, False] * 4
    assert test.paths[0] == f"{home}/img/WOMEN/Dresses/id_00000005/01_1_front.jpg"


@pytest.mark.parametrize("folder", ["", "Img"])
@pytest.mark.parametrize("partition", ["", "Eval"])
def test_images_and_list_lie_in_either_place(tmp_path: Path, folder: str, partition: str) -> None:
    inshop_tree(tmp_path, folder=folder, partition=partition)
    test = InShop(tmp_path, "test")
    assert len(test) == 8
    assert all(test.load(i).size == (40, 32) for i in range(len(test)))


def test_items_sort_by_their_number(tmp_path: Path) -> None:
    home = inshop_tree(tmp_path)
    rows = [f"img/{i}.jpg id_{i} train" for i in (10, 9, 100)]
    write(home, "3", HEADER, *rows)
    assert InShop(tmp_path).classes == ["id_9", "id_10", "id_100"]
    assert InShop(tmp_path).labels.tolist() == [1, 0, 2]
