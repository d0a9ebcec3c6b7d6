"""The picture: real files of a sensible size, whatever is missing."""

import io

import pytest
from PIL import Image

from gcahng.studies.grid import Grid
from gcahng.studies.plots import as_png, draw_bars
from gcahng.studies.run import grid_runs
from gcahng.studies.summary import summarize
from tests.gcahng.studies.conftest import HEAD, WriteGrid, finish

METRICS = ("map@r", "recall@1")


@pytest.fixture
def grid(write_grid: WriteGrid) -> Grid:
    """Fifteen cells, one of which fails; a name that has to be cut, a sign that is no formula."""
    names = ["npair", "of a name that is far too long for the margin", "$a$", "bad"]
    names += [f"cell {number}" for number in range(11)]
    grid = write_grid(HEAD + "seeds: 3\ncells:\n" + "".join(f"  {name}:\n" for name in names))
    for number, run in enumerate(grid_runs(grid)):
        if run.cell.name == "bad":
            run.job.fail("it broke")
        elif number != len(names):
            finish(run, 0.5 + 0.01 * (number % len(names)) + 0.001 * (number * 7 % 5))
    return grid


def test_bars_go_from_the_reference_to_the_mean(grid: Grid) -> None:
    summaries = summarize(grid)
    figure = draw_bars(summaries, "npair", METRICS, "Does it help? " * 9)
    with Image.open(io.BytesIO(as_png(figure))) as image:
        assert 1000 < image.width < 1600
        assert 700 < image.height < 1400
    for axes in figure.axes:
        for texts in (axes.get_yticklabels(), axes.get_xticklabels(), axes.texts):
            boxes = [text.get_window_extent() for text in texts if text.get_text()]
            assert not any(
                one.overlaps(other) for place, one in enumerate(boxes) for other in boxes[:place]
            )
    first, *others = figure.axes[0].patches
    middle = sum(summaries["npair"].figures("map@r").values()) / 2
    assert first.get_width() == 0
    values = summaries["cell 10"].figures("map@r")
    assert others[-1].get_x() == pytest.approx(middle)
    # The reference has no run with seed 1, so neither do the differences.
    end = (values[0] + values[2]) / 2
    assert others[-1].get_x() + others[-1].get_width() == pytest.approx(end)
    assert [text.get_text() for text in figure.axes[0].texts][3] == "–"
