"""`gcahng list`: a line for everything that an experiment can name."""

import pytest

from gcahng.commands.listing import KINDS
from gcahng.config.layers import EXPERIMENTS, GRIDS, STUDIES, packaged_experiments
from gcahng.data import DATASETS, TRANSFORMS
from gcahng.generators import GENERATORS
from gcahng.graph import CONVS
from gcahng.losses import LOSSES
from gcahng.models import BACKBONES
from tests.conftest import Call

NAMES = {
    "experiments": packaged_experiments(),
    "grids": sorted(f"{GRIDS}/{file.stem}" for file in (EXPERIMENTS / GRIDS).glob("*.yaml")),
    "studies": sorted(f"{STUDIES}/{file.stem}" for file in (EXPERIMENTS / STUDIES).glob("*.yaml")),
    "layers": sorted(CONVS),
    "generators": sorted(GENERATORS),
    "losses": sorted(LOSSES),
    "backbones": sorted(BACKBONES),
    "data": sorted(DATASETS),
    "transforms": sorted(TRANSFORMS),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_name_has_a_line_with_a_sentence(kind: str, call: Call) -> None:
    status, out, _ = call("list", kind)
    lines = [line for line in out.splitlines() if not line.startswith("or ")]
    assert status == 0
    assert [line.split()[0] for line in lines] == NAMES[kind]
    for line in lines:
        sentence = line.split(maxsplit=1)[1]
        assert len(sentence) > 15, line
        assert sentence.endswith((".", "?")), line
        assert "partial(" not in sentence


def test_all_kinds_are_listed_without_an_argument(call: Call) -> None:
    status, out, _ = call("list")
    assert status == 0
    assert [line[:-1] for line in out.splitlines() if line.endswith(":")] == list(KINDS)
    assert "\n  gatv2          PyTorch Geometric's GATv2Conv.\n" in out
    assert "\n  or a class of your own as module.path:ClassName\n" in out
