"""Style of all figures: colours for colour-blind readers, plain axes."""

from typing import Any

# Okabe and Ito's palette for colour-blind readers, without yellow, which is too pale for lines.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")

# Both are ordered in grey scale and for colour-blind readers; the second is light at zero.
SEQUENTIAL, DIVERGING = "cividis", "PuOr"

STYLE: dict[Any, Any] = {
    "font.size": 10,
    "axes.titlesize": 11,
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
