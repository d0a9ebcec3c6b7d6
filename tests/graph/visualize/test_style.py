import pytest

from gcahng.graph.visualize import style
from gcahng.graph.visualize.style import fallbacks

# DejaVu Sans, the usual font, lacks these; STIXGeneral, which comes with matplotlib, has the first.
SIGN = "\u20dd"


def test_a_character_of_no_font_has_no_font(monkeypatch: pytest.MonkeyPatch) -> None:
    own = [entry for entry in style.fontManager.ttflist if "matplotlib" in entry.fname]
    monkeypatch.setattr(style.fontManager, "ttflist", own)
    assert fallbacks(["a鷺", "b鷺", "c"]) == []
