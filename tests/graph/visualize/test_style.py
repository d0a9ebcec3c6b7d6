import warnings

import pytest
from torch_geometric.data import Data

from gcahng.graph.visualize import style
from gcahng.graph.visualize.batch import style_of
from gcahng.graph.visualize.style import fallbacks

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
    path = style.findfont(style.FontProperties(family=found))
    assert SIGN in style._characters(path)


def test_a_character_of_no_font_has_no_font(monkeypatch: pytest.MonkeyPatch) -> None:
    own = [entry for entry in style.fontManager.ttflist if "matplotlib" in entry.fname]
    monkeypatch.setattr(style.fontManager, "ttflist", own)
    assert fallbacks(["a鷺", "b鷺", "c"]) == []
