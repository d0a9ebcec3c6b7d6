"""A new component is its source, one line in the list of its kind, its test and the CHANGELOG.

One of each kind is added to a copy of the repository; what lists or tries all components must pass.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
# The list of each kind; the line that is added to it; the new file and what is in it.
ADDED = {
    "graph/convs/__init__.py": (
        '        "none": "gcahng.graph.convs.mlp_conv:NoneConv",\n',
        "graph/convs/halving_conv.py",
        "HalvingConv",
        '''"""A layer that halves what it gets."""

from torch import Tensor, nn


class HalvingConv(nn.Module):
    """Halve nodes and edges."""

    def __init__(self, in_channels: int, edge_dim: int) -> None:
        super().__init__()
        self.scale = nn.Linear(1, 1)

    def reset_parameters(self) -> None:
        """Draw the weights again."""
        self.scale.reset_parameters()

    def forward(
        self, x: Tensor, edge_index: Tensor, edge_attr: Tensor, y: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return half of both."""
        half = self.scale.weight.square().sum() + self.scale.bias.square().sum() + 0.5
        return half * x, half * edge_attr
''',
    ),
    "gcahng/generators/__init__.py": (
        '        "metrix": "gcahng.generators.metrix:Metrix",\n',
        "gcahng/generators/halving.py",
        "Halving",
        '''"""Negatives half way to the anchor."""

from torch import Tensor

from gcahng.generators.base import NegativeGenerator, Synthetic
from gcahng.graph import BatchLayout


class Halving(NegativeGenerator):
    """Move every negative of the same slot half way to the anchor."""

    def make_negatives(self, slots: Tensor, layout: BatchLayout, draws: Tensor | None) -> Synthetic:
        """Create the negatives [P, S, S, D]."""
        return Synthetic((slots.unsqueeze(2) + slots.unsqueeze(1)) / 2)
''',
    ),
    "gcahng/losses/__init__.py": (
        '        "npair": "gcahng.losses.npair:NPairLoss",\n',
        "gcahng/losses/halving.py",
        "HalvingLoss",
        '''"""A loss that pulls a batch together."""

from torch import Tensor, nn


class HalvingLoss(nn.Module):
    """Half of the mean square."""

    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """Return the loss of a batch."""
        return embeddings.square().mean() / 2
''',
    ),
    "data/catalogue.py": (
        '        "glyphs": "gcahng.data.embedded.glyphs:Glyphs",\n',
        "data/datasets/halving.py",
        "Halves",
        '''"""Digits under another name."""

from gcahng.data.embedded.digits import Digits


class Halves(Digits):
    """Digits once more."""
''',
    ),
    "models/backbones/__init__.py": (
        '        "small_conv": "gcahng.models.backbones.small_conv:SmallConv",\n',
        "models/backbones/halving.py",
        "HalvingBackbone",
        '''"""A backbone of one layer."""

from torch import Tensor, nn


class HalvingBackbone(nn.Module):
    """Mean of each channel, mapped to four features."""

    out_channels = 4

    def __init__(self, in_channels: int = 1) -> None:
        super().__init__()
        self.map = nn.Linear(in_channels, 4)

    def forward(self, images: Tensor) -> Tensor:
        """Map images [N, C, H, W] to features [N, 4]."""
        return self.map(images.mean(dim=(2, 3)))
''',
    ),
}
# What lists all components of a kind or tries each of them, and the plan of the rooms.
TESTS = (
    "tests/test_layout.py",
    "tests/test_readme.py",
    "tests/experiments/test_packaged.py",
    "tests/data/test_catalogue.py",
    "tests/gcahng/config/test_json_schema.py",
    "tests/gcahng/commands/test_listing.py",
    "tests/gcahng/generators",
    "tests/gcahng/training/test_meta_device.py",
    "tests/graph/convs/test_all_convs.py",
    "tests/graph/convs/test_build_conv.py",
)
NAMED = "layout or readme or packaged or catalogue or registry or schema or listing or halving"


@pytest.mark.slow
def test_one_of_each_kind(tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    listed = ["git", "ls-files", "-co", "--exclude-standard"]
    names = subprocess.run(listed, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for name in filter(lambda name: os.path.lexists(ROOT / name), names.splitlines()):
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, copy / name, follow_symlinks=False)
    for listing, (line, file, name, source) in ADDED.items():
        (copy / file).write_text(source)
        module = "gcahng." + file.removeprefix("gcahng/").removesuffix(".py").replace("/", ".")
        text = (copy / listing).read_text()
        assert line in text, listing
        (copy / listing).write_text(
            text.replace(line, f'{line}        "halving": "{module}:{name}",\n')
        )
    subprocess.run(["git", "init", "-q"], cwd=copy, check=True)
    subprocess.run(["git", "add", "-A"], cwd=copy, check=True)
    # The copy's coverage is of no use, and measuring it takes time.
    environment = {**os.environ, "PYTHONPATH": str(copy), "COVERAGE_PROCESS_CONFIG": ""}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", NAMED, *TESTS]
    done = subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
