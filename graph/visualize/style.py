"""Style of all figures: colours for colour-blind readers, plain axes, fonts for any script."""

from typing import Any

from matplotlib import rcParams
from matplotlib.font_manager import fontManager

# Okabe and Ito's palette for colour-blind readers, without yellow, which is too pale for lines.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")

# Colours of classes in figures and on the page, chosen to differ also for readers who do not see
# red or green; none resembles the orange that marks edges within a class.
CLASSES = (
    *("#0078A5", "#D20069", "#3C6400", "#5AC3FF", "#78005A"),
    *("#9678FF", "#000000", "#E196A5", "#1E2DA5", "#7800F0"),
)
SAME_CLASS = "#E69F00"

# Ordered in grey scale and for colour-blind readers; dark is large in all figures.
SEQUENTIAL = "cividis_r"
# For characters that matplotlib's own font lacks, where one of these is installed.
FALLBACKS = (
    *("Noto Sans CJK JP", "Noto Sans CJK SC", "Microsoft YaHei", "PingFang SC", "Malgun Gothic"),
    *("Noto Sans", "Noto Sans Arabic", "Noto Sans Devanagari", "Noto Emoji", "Segoe UI Emoji"),
)

STYLE: dict[Any, Any] = {
    "font.family": [
        *rcParams["font.family"],
        *(font for font in FALLBACKS if font in {entry.name for entry in fontManager.ttflist}),
    ],
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


def ink(colour: str) -> str:
    """Colour of text on a colour: black or white, whichever is in stronger contrast."""
    red, green, blue = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    # WCAG's luminance, with its exponent rounded; black and white contrast equally at 0.179.
    luminance = 0.2126 * red**2.2 + 0.7152 * green**2.2 + 0.0722 * blue**2.2
    return "#ffffff" if luminance < 0.179 else "#000000"


def shorten(name: str, limit: int = 44) -> str:
    """Shorten a name to `limit` characters by cutting its middle."""
    if len(name) <= limit:
        return name
    half = (limit - 1) // 2
    return f"{name[:half]}…{name[-half:]}"
