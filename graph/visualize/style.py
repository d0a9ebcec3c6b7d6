"""How every picture looks: colours that colour-blind readers tell apart, plain axes."""

from typing import Any

# Okabe and Ito's colours, told apart by colour-blind readers; their yellow is too pale for lines.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")

# Both keep their order in grey and for colour-blind readers; the second is light at zero.
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
    # A '$' in a name is no formula.
    "text.parse_math": False,
    # The same figures give the same bytes.
    "svg.hashsalt": "gcahng",
}


def shorten(name: str, limit: int = 44) -> str:
    """Cut a name in the middle, where names of runs tend to be alike, to fit a legend."""
    if len(name) <= limit:
        return name
    half = (limit - 1) // 2
    return f"{name[:half]}…{name[-half:]}"
