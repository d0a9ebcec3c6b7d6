import importlib
import sys
from pathlib import Path

import pytest
import torchvision
from torch import nn

from gcahng.data import Digits
from gcahng.models import SmallConv
from gcahng.models.source_code import source_of

PART = "from torch import nn\nclass Part(nn.Linear):\n    pass\n"
BASE = "from torch import nn\nclass Base(nn.Module):\n    pass\n"
WHOLE = """
from code_base import Base
from code_part import Part
from torch import nn

class Whole(Base):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.ReLU(), Part(2, 2))
"""


@pytest.fixture
def whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> nn.Module:
    for name, text in {"code_part": PART, "code_base": BASE, "code_whole": WHOLE}.items():
        (tmp_path / f"{name}.py").write_text(text)
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    made: nn.Module = importlib.import_module("code_whole").Whole()
    return made


def test_bases_and_parts_count(whole: nn.Module, tmp_path: Path) -> None:
    assert source_of(whole).split(b"\0") == sorted(text.encode() for text in (WHOLE, PART, BASE))
    for name in ("code_part", "code_base", "code_whole"):
        before, file = source_of(whole), tmp_path / f"{name}.py"
        file.write_text(file.read_text() + "# changed\n")
        assert source_of(whole) != before


def test_libraries_count_only_if_they_are_the_class_itself() -> None:
    network = torchvision.models.resnet18()
    assert source_of(network) == Path(torchvision.models.resnet.__file__).read_bytes()
    assert source_of(SmallConv()).startswith(b'"""A small convolutional network')
    assert source_of(Digits()).count(b"\0") == 0
