"""Fonts for class names in any script."""

from collections.abc import Iterable
from functools import cache
from typing import Any

from matplotlib import rcParams
from matplotlib.font_manager import FontProperties, findfont, fontManager, get_font
from torch_geometric.data import Data

from gcahng.graph.visualize.learned import class_names
from gcahng.graph.visualize.style import STYLE

# Fonts that have a box for every character.
BLANK = ("Last Resort", "Adobe Blank")


def style_of(graph: Data) -> dict[Any, Any]:
    """Style of the figures of a graph, with fonts that have the characters of its class names."""
    return STYLE | {"font.family": [*rcParams["font.family"], *fallbacks(class_names(graph))]}


def fallbacks(names: Iterable[str]) -> list[str]:
    """Fonts of the system for the characters of `names` that the usual font lacks.

    Example:
        >>> fallbacks(["kingfisher", "Ährenfisch"])
        []
    """
    missing = {char for char in "".join(names) if char.isprintable()}
    missing -= _characters(findfont(FontProperties()))
    fonts: list[str] = []
    # Sans-serif fonts first.
    families = sorted({e.name for e in fontManager.ttflist}, key=lambda n: ("Sans" not in n, n))
    for family in families:
        if not missing:
            break
        # Matplotlib chooses a font's file by its name.
        if found := missing & _characters(findfont(FontProperties(family=[family]))):
            fonts.append(family)
            missing -= found
    return fonts


@cache
def _characters(path: str) -> frozenset[str]:
    """Characters of a font file; none if it cannot be read or has only boxes."""
    try:
        font = get_font(path)
    except (OSError, RuntimeError, ValueError):
        return frozenset()
    if font.family_name.startswith(BLANK):
        return frozenset()
    return frozenset(map(chr, font.get_charmap()))
