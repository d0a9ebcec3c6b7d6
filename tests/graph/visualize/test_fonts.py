import warnings
from collections.abc import Iterator
from typing import Any

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from torch_geometric.data import Data

from gcahng.graph.visualize import (
    draw_coefficients,
    draw_graph,
    draw_matrices,
    draw_negatives,
    fonts,
)
from gcahng.graph.visualize.fonts import fallbacks, style_of

# DejaVu Sans, the usual font, lacks these; STIXGeneral, which comes with matplotlib, has the first.
SIGN = "\u20dd"
PICTURES = (draw_coefficients, draw_graph, draw_matrices, draw_negatives)


@pytest.fixture(autouse=True)
def forget() -> Iterator[None]:
    """Each test may warn anew."""
    fonts._warn.cache_clear()
    with warnings.catch_warnings():
        yield


@pytest.fixture
def few_fonts(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a system with no other fonts than matplotlib's, one of which has only boxes."""
    own = [entry for entry in fonts.fontManager.ttflist if "matplotlib" in entry.fname]
    monkeypatch.setattr(fonts.fontManager, "ttflist", own)


def test_usual_names_need_no_other_font(graph: Data) -> None:
    graph.name = ["Ährenfisch 7 Я"] * 15
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert style_of(graph)["font.family"] == ["sans-serif"]


def test_a_font_with_the_missing_characters_is_added() -> None:
    (found,) = fallbacks(["bird", f"bird {SIGN}"])
    assert found != "DejaVu Sans"
    path = fonts.findfont(fonts.FontProperties(family=found))
    assert SIGN in fonts._characters(path)


@pytest.mark.parametrize("draw", PICTURES)
def test_pictures_draw_every_character(graph: Data, draw: Any) -> None:
    graph.name = [f"{SIGN} {label}" for label in graph.y.tolist()]
    with warnings.catch_warnings():
        # Matplotlib warns of characters that it draws as boxes.
        warnings.simplefilter("error")
        FigureCanvasAgg(draw(graph)).draw()


@pytest.mark.usefixtures("few_fonts")
def test_a_character_of_no_font_is_named_once(graph: Data) -> None:
    graph.name = [f"bird {label} {'鷺' if label == 12 else ''}" for label in graph.y.tolist()]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for draw in PICTURES:
            FigureCanvasAgg(draw(graph)).draw()
    assert [str(warning.message) for warning in caught] == [
        "No installed font has '鷺', so the pictures show boxes in 'bird 12 鷺'; "
        "install one, such as Noto Sans CJK, and delete matplotlib's font cache"
    ]


@pytest.mark.usefixtures("few_fonts")
def test_fonts_of_boxes_do_not_count() -> None:
    with pytest.warns(UserWarning, match=r"in 'a.' and 1 more class name; install one"):
        assert fallbacks(["a鷺", "b鷺", "c"]) == []
