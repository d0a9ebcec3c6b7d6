"""`gcahng list`: a line for everything that an experiment can name."""

import subprocess
import sys
from collections.abc import Callable

import pytest

from gcahng import cli
from gcahng.commands.listing import KINDS
from gcahng.config.layers import packaged_experiments
from gcahng.data import DATASETS, TRANSFORMS
from gcahng.generators import GENERATORS
from gcahng.graph import CONVS
from gcahng.losses import LOSSES
from gcahng.models import BACKBONES

NAMES = {
    "experiments": packaged_experiments(),
    "layers": sorted(CONVS),
    "generators": sorted(GENERATORS),
    "losses": sorted(LOSSES),
    "backbones": sorted(BACKBONES),
    "data": sorted(DATASETS),
    "transforms": sorted(TRANSFORMS),
}

Listed = Callable[..., tuple[int, str, str]]


@pytest.fixture
def listed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Listed:
    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["gcahng", "list", *arguments])
        with pytest.raises(SystemExit) as info:
            cli.main()
        shown = capsys.readouterr()
        return int(info.value.code or 0), shown.out, shown.err

    return run


@pytest.mark.parametrize("kind", KINDS)
def test_every_name_has_a_line_with_a_sentence(kind: str, listed: Listed) -> None:
    status, out, _ = listed(kind)
    lines = [line for line in out.splitlines() if not line.startswith("or ")]
    assert status == 0
    assert [line.split()[0] for line in lines] == NAMES[kind]
    for line in lines:
        sentence = line.split(maxsplit=1)[1]
        assert len(sentence) > 15, line
        assert sentence.endswith("."), line
        assert "partial(" not in sentence


def test_all_kinds_are_listed_without_an_argument(listed: Listed) -> None:
    status, out, _ = listed()
    assert status == 0
    assert [line[:-1] for line in out.splitlines() if line.endswith(":")] == list(KINDS)
    assert "\n  gatv2          PyTorch Geometric's GATv2Conv, \"How Attentive are Graph" in out
    assert "\n  or a class of your own as module.path:ClassName\n" in out


def test_an_unknown_kind_is_one_sentence(listed: Listed) -> None:
    status, out, err = listed("layer")
    assert (status, out) == (1, "")
    assert err == (
        "error: unknown kind 'layer' (did you mean 'layers'?); choose from: backbones, data, "
        "experiments, generators, layers, losses, transforms\n"
    )


def test_experiments_are_listed_without_torch() -> None:
    code = (
        "import sys; from gcahng.cli import main; sys.argv = ['gcahng', 'list', 'experiments']\n"
        "try: main()\nexcept SystemExit: assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
