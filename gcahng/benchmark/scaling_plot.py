"""Plot of peak memory and time against the number of nodes."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator

from gcahng.benchmark.memory_formula import Formula
from gcahng.graph.visualize.style import COLOURS, STYLE

Row = Mapping[str, Any]
GIB = 2**30
WALL = "#666666"


def save_scaling(
    rows: Sequence[Row],
    formulas: Mapping[int, Formula],
    limits: Mapping[str, float],
    target: Path | IO[bytes],
) -> None:
    """Write the plot as PNG.

    Args:
        rows: Measurements, keyed as in `gcahng.benchmark.scaling.COLUMNS`.
        formulas: Of the peak memory, by number of processes.
        limits: Bytes by the name of a line to draw.
        target: File to write.
    """
    with rc_context(STYLE):
        figure = Figure((9.5, 4.2), layout="constrained")
        memory, time = figure.subplots(1, 2)
        sizes = sorted({row["nodes"] for row in rows})
        beyond = max(formula.largest(max(limits.values())) for formula in formulas.values())
        reach = np.geomspace(sizes[0], max(beyond, sizes[-1]) * 1.1, 200)
        for number, formula in enumerate(formulas.values()):
            colour = COLOURS[number]
            curve = [formula.bytes(nodes) / GIB for nodes in reach]
            memory.plot(reach, curve, color=colour, linewidth=1, zorder=1)
            for limit in limits.values():
                _mark(memory, formula.largest(limit), limit / GIB, number)
        for name, limit in limits.items():
            memory.axhline(limit / GIB, color=WALL, linestyle="--", linewidth=1)
            memory.text(sizes[0], 1.06 * limit / GIB, name, color=WALL, fontsize=9)
        _dots(memory, rows, list(formulas), lambda row: row["mib"] / 1024)
        _dots(time, rows, list(formulas), lambda row: row["cpu"])
        memory.set_title("Peak memory of each process [GiB]; lines: formula")
        time.set_title("CPU time of each process for one step [s]")
        _scale(memory, sizes, (1,))
        _scale(time, sizes, (1, 2, 5))
        time.set_ylim(top=2 * time.get_ylim()[1])
        time.legend(loc="upper left")
        figure.savefig(target, format="png", dpi=150)


def _dots(axes: Axes, rows: Sequence[Row], counts: Sequence[int], value: Any) -> None:
    series: dict[tuple[int, str], list[tuple[float, float]]] = {}
    for row in rows:
        for mode in row["memory"].split(", "):
            series.setdefault((row["processes"], mode), []).append((row["nodes"], value(row)))
    for (count, mode), points in series.items():
        x, y = zip(*points, strict=True)
        low = mode == "low"
        axes.plot(
            *(x, y),
            marker="o" if low else "s",
            linestyle="none",
            markersize=6,
            markerfacecolor=COLOURS[counts.index(count)] if low else "none",
            markeredgecolor=COLOURS[counts.index(count)],
            label=f"{count} process{'es' if count > 1 else ''}, {mode}",
        )


def _mark(axes: Axes, nodes: int, height: float, number: int) -> None:
    """Write the number of nodes where a curve meets a limit: of the first above the line."""
    above = number == 0
    axes.annotate(
        f"{nodes:,}",
        (nodes, height),
        xytext=(-3, 3) if above else (4, -4),
        textcoords="offset points",
        ha="right" if above else "left",
        va="bottom" if above else "top",
        color=COLOURS[number],
        fontsize=9,
    )


def _scale(axes: Axes, sizes: Sequence[int], digits: Sequence[float]) -> None:
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("nodes of the batch graph")
    axes.set_xticks(sizes, [str(size) for size in sizes])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_locator(LogLocator(subs=digits, numticks=12))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
