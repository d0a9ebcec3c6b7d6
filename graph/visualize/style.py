"""Style of all figures: colours for colour-blind readers, plain axes, fonts for any script."""

from collections.abc import Iterable
from functools import cache
from typing import Any

from matplotlib.font_manager import FontProperties, findfont, fontManager, get_font

# Okabe and Ito's palette for colour-blind readers, without yellow, which is too pale for lines.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")

# Colours of classes in figures and on the page, chosen to differ also for readers who do not see
# red or green; none resembles the orange that marks edges within a class.
CLASSES = (
    *("#0078A5", "#D20069", "#3C6400", "#5AC3FF", "#78005A"),
    *("#9678FF", "#000000", "#E196A5", "#1E2DA5", "#7800F0"),
)
SAME_CLASS = "#E69F00"

# With more classes than colours, these borders tell them apart, as on the page.
RINGS = ("-", "--", ":", "-.")

# Both are ordered in grey scale and for colour-blind readers. Dark is large in all figures; the
# second is light at zero.
SEQUENTIAL, DIVERGING = "cividis_r", "PuOr"
# Values that differ by less look different only because a scale is stretched over them.
NARROW = 0.002

STYLE: dict[Any, Any] = {
    "font.size": 10,
    "axes.titlesize": 11,
    "figure.titlesize": 11,
    # Room for titles, labels and legends.
    "figure.constrained_layout.use": True,
    "figure.constrained_layout.w_pad": 0.1,
    "figure.constrained_layout.h_pad": 0.1,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#dddddd",
    "legend.frameon": False,
    "legend.fontsize": 9,
    # Do not parse '$' in names as math.
    "text.parse_math": False,
    # Reproducible SVG files.
    "svg.hashsalt": "gcahng",
}

# Fonts that have a box for every character.
BLANK = ("Last Resort", "Adobe Blank")


def ink(colour: str) -> str:
    """Colour of text on a colour: black or white, whichever is in stronger contrast.

    Example:
        >>> ink("#000000"), ink("#5AC3FF")
        ('#ffffff', '#000000')
    """
    parts = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    linear = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    luminance = sum(w * part for w, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
    # Equal contrast with both: (luminance + 0.05)² = 0.05 · 1.05, by the WCAG formula.
    return "#ffffff" if (luminance + 0.05) ** 2 < 0.05 * 1.05 else "#000000"


def border(number: int) -> dict[str, Any]:
    """Look of a box of a class by its number: filled, or white within a dashed border.

    Example:
        >>> border(0) == border(10), border(0)["edgecolor"] == border(10)["edgecolor"]
        (False, True)
    """
    turn, place = divmod(number, len(CLASSES))
    colour = CLASSES[place]
    face = "white" if turn else colour
    return {"facecolor": face, "edgecolor": colour, "linestyle": RINGS[turn % len(RINGS)]}


def span(low: float, high: float) -> str:
    r"""What to say of a colour scale over so small a range that all values are nearly the same.

    Example:
        >>> span(0.0, 1.0), span(0.51, 0.5113)
        ('', '\nthe whole scale spans only 0.0013')
    """
    return "" if high - low >= NARROW else f"\nthe whole scale spans only {high - low:.2g}"


def shorten(name: str, limit: int = 44) -> str:
    """Shorten a name to `limit` characters by cutting its middle.

    Example:
        >>> shorten("resnet50_cub_gca_hng_seed1", limit=13)
        'resnet…_seed1'
    """
    if len(name) <= limit:
        return name
    half = (limit - 1) // 2
    return f"{name[:half]}…{name[-half:]}"


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
