import matplotlib
import pytest
from matplotlib import rc_context

from gcahng.graph.visualize.style import COLOURS, DIVERGING, SEQUENTIAL, STYLE, shorten


def test_matplotlib_knows_it_all() -> None:
    with rc_context(STYLE):
        assert matplotlib.rcParams["text.parse_math"] is False
    assert {SEQUENTIAL, f"{SEQUENTIAL}_r", DIVERGING} <= set(matplotlib.colormaps)
    assert len(set(COLOURS)) == len(COLOURS)


@pytest.mark.parametrize(
    ("name", "short"),
    [("short", "short"), ("abcdefghijk", "abcd…hijk"), ("123456789", "123456789")],
)
def test_long_names_lose_their_middle(name: str, short: str) -> None:
    assert shorten(name, 9) == short
