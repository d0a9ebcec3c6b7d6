from pathlib import Path

import pytest

from gcahng.data import SOP
from tests.data.trees import HEADER, sop_tree


def test_each_table_is_a_split_and_classes_sort_by_item(tmp_path: Path) -> None:
    home = sop_tree(tmp_path, train=2, test=2, images=3)
    train, test = SOP(tmp_path), SOP(tmp_path, "test")
    assert train.classes == ["111085188682 bicycle #11318", "111085188683 coffee_maker #11317"]
    assert test.classes == ["111085188680 bicycle #11320", "111085188681 coffee_maker #11319"]
    assert train.labels.tolist() == [1, 1, 1, 0, 0, 0]
    assert train.paths[0] == f"{home}/coffee_maker_final/111085188683_0.JPG"


def test_a_class_is_its_number_whatever_its_files_are_called(tmp_path: Path) -> None:
    home = sop_tree(tmp_path)
    rows = ["1 7 1 bicycle_final/5_0.JPG", "2 7 1 bicycle_final/6_0.JPG", "3 8 1 mug_final/5_1.JPG"]
    (home / "Ebay_train.txt").write_text("\n".join([HEADER, *rows]))
    assert SOP(tmp_path).classes == ["5 bicycle #7", "5 mug #8"]
    assert SOP(tmp_path).labels.tolist() == [0, 0, 1]


def test_a_torn_table_is_refused(tmp_path: Path) -> None:
    home = sop_tree(tmp_path)
    (home / "Ebay_train.txt").write_text(f"{HEADER}\n1 7 1\n")
    with pytest.raises(ValueError, match=rf"^{home}/Ebay_train.txt:2: expected 4 columns"):
        SOP(tmp_path)
