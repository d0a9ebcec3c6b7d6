"""What holds of every picture."""

from itertools import combinations

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox

PIXEL = 1.5


def assert_legible(figure: Figure) -> None:
    """Everything is inside the figure, and no title, label or legend hides another."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    width, height = figure.get_size_inches()
    box = figure.get_tightbbox(canvas.get_renderer())
    assert box.x0 > -0.02, f"cut off at the left by {-box.x0:.2f} inches"
    assert box.y0 > -0.02, f"cut off at the bottom by {-box.y0:.2f} inches"
    assert box.x1 < width + 0.02, f"cut off at the right by {box.x1 - width:.2f} inches"
    assert box.y1 < height + 0.02, f"cut off at the top by {box.y1 - height:.2f} inches"
    for one, other in combinations(labels(figure), 2):
        hidden = Bbox.intersection(one.get_window_extent(), other.get_window_extent())
        if hidden is not None and min(hidden.width, hidden.height) > PIXEL:
            raise AssertionError(f"{one.get_text()!r} hides {other.get_text()!r}")


def labels(figure: Figure) -> list[Text]:
    """Titles, labels, numbers along axes and legends; slanted ones lie side by side anyhow."""
    found: list[Text] = []
    for part in [figure, *figure.subfigs]:
        found += part.texts
        found += [text for legend in part.legends for text in legend.get_texts()]
    for axes in figure.axes:
        if not axes.axison:
            continue
        found += [axes.title, axes.xaxis.label, axes.yaxis.label]
        if axes.get_legend():
            found += axes.get_legend().get_texts()
        for axis in (axes.xaxis, axes.yaxis):
            # Those beyond the axis exist but are not drawn.
            found += [tick.label1 for tick in axis._update_ticks() if tick.label1.get_visible()]
    return [text for text in found if text.get_text() and text.get_rotation() % 90 == 0]
