"""Fonts for class names in any script."""

import warnings
from collections.abc import Iterable
from functools import cache
from typing import Any

from matplotlib import rcParams
from matplotlib.font_manager import FontEntry, FontProperties, findfont, fontManager, get_font
from torch_geometric.data import Data

from gcahng.graph.visualize.learned import class_names
from gcahng.graph.visualize.style import STYLE

# Fonts that have a box for every character.
BLANK = ("Last Resort", "Adobe Blank")


def style_of(graph: Data) -> dict[Any, Any]:
    """Style of the figures of a graph, with fonts that have the characters of its class names.

    Warns, once for each set of characters, if no installed font has some of them.
    """
    return STYLE | {"font.family": [*rcParams["font.family"], *fallbacks(class_names(graph))]}


def fallbacks(names: Iterable[str]) -> list[str]:
    """Fonts of the system for the characters of `names` that the usual font lacks.

    Example:
        >>> fallbacks(["kingfisher", "Ährenfisch"])
        []
    """
    names = sorted(set(names))
    missing = {char for name in names for char in name if char.isprintable()}
    missing -= _characters(findfont(FontProperties()))
    if not missing:
        return []
    fonts = []
    for entry in sorted(fontManager.ttflist, key=_preference):
        found = missing & _characters(entry.fname)
        # Matplotlib chooses a font's file by its name: it may be another than this one.
        if found and missing & _characters(findfont(FontProperties(family=entry.name))) == found:
            fonts.append(entry.name)
            missing -= found
        if not missing:
            return fonts
    without = [name for name in names if missing & set(name)]
    _warn("".join(sorted(missing)), without[0], len(without) - 1)
    return fonts


def _preference(entry: FontEntry) -> tuple[bool, bool, bool, str, str]:
    """Plain fonts first: upright, of normal weight and without serifs."""
    plain = str(entry.weight) in ("400", "normal", "regular")
    return entry.style != "normal", not plain, "Sans" not in entry.name, entry.name, entry.fname


@cache
def _characters(path: str) -> frozenset[str]:
    """Characters of a font file; none if it cannot be read or has only boxes."""
    try:
        font = get_font(path)
        if font.family_name.startswith(BLANK):
            return frozenset()
        return frozenset(map(chr, font.get_charmap()))
    except (OSError, RuntimeError, ValueError):
        return frozenset()


@cache
def _warn(missing: str, name: str, more: int) -> None:
    # Matplotlib would repeat it for each character and picture.
    warnings.filterwarnings("ignore", message=r"Glyph \d+ .*missing from")
    others = f" and {more} more class {'name' if more == 1 else 'names'}" if more else ""
    warnings.warn(
        f"No installed font has {missing[:20]!r}, so the pictures show boxes in '{name}'{others}; "
        "install one, such as Noto Sans CJK, and delete matplotlib's font cache",
        stacklevel=4,
    )
