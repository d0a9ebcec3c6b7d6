from pathlib import Path

import pytest

from gcahng.data import SOP
from tests.data.trees import HEADER, sop_tree


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
