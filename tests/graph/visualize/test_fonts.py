import warnings

import pytest
from torch_geometric.data import Data

from gcahng.graph.visualize import (
    fonts,
)
from gcahng.graph.visualize.fonts import fallbacks, style_of

# DejaVu Sans, the usual font, lacks these; STIXGeneral, which comes with matplotlib, has the first.
SIGN = "\u20dd"


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


def test_a_character_of_no_font_has_no_font(monkeypatch: pytest.MonkeyPatch) -> None:
    own = [entry for entry in fonts.fontManager.ttflist if "matplotlib" in entry.fname]
    monkeypatch.setattr(fonts.fontManager, "ttflist", own)
    assert fallbacks(["a鷺", "b鷺", "c"]) == []
