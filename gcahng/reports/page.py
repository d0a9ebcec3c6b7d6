"""One self-contained HTML page about runs: results, curves, gallery and configuration."""

import base64
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from gcahng.files import write_text
from gcahng.reports.curves import loss_panels, retrieval_panels
from gcahng.reports.tables import Column
from gcahng.runs.record import RunRecord

TITLES = {"map@r": "MAP@R [%]", "r_precision": "R-Prec. [%]"}
COSTS = (
    Column("seconds", "training time [s]", "seconds"),
    Column("peak_memory_mib", "peak memory [MiB]", "mib"),
)
LEGEND = (
    "Each row shows a query and its nearest neighbours with their cosine similarities, the most "
    "similar first: ✓ (green, solid frame) same class, ✗ (orange-red, dashed frame) other class. "
    "Half of the queries are chosen for a wrong first neighbour, so this is no picture of the "
    "average."
)


@dataclass(frozen=True)
class BatchPictures:
    """What there is to see of one batch.

    Args:
        caption: a sentence about the batch.
        images: PNG files by title.
    """

    caption: str
    images: Mapping[str, bytes]


def write_report(
    path: str | Path,
    title: str,
    runs: Sequence[RunRecord],
    gallery: str | None = None,
    notes: Sequence[str] = (),
    pictures: BatchPictures | None = None,
) -> None:
    """Write the page; it needs no network and works from a file.

    Args:
        path: file to write, replaced as a whole.
        title: heading of the page.
        runs: at least one, with different names.
        gallery: HTML from `retrieval_gallery`.
        notes: sentences to stand under the heading.
        pictures: of one batch.

    Raises:
        ValueError: no runs, or two of one name.
    """
    names = [run.name for run in runs]
    if not names or len(set(names)) < len(names):
        raise ValueError(f"Expected 'runs' to be one or more with different names (got {names})")
    parts = [f"<h1>{escape(title)}</h1>", *(f"<p>{escape(note)}</p>" for note in notes)]
    parts += ["<h2>Results</h2>", _results(runs)]
    curves = retrieval_panels({run.name: run.history for run in runs})
    parts += [
        "<h2>Retrieval during training</h2>",
        _panels(curves, "No epoch was evaluated.", "panels pairs"),
    ]
    parts += ["<h2>Losses</h2>"]
    for run in runs:
        panels = _panels(loss_panels(run.history), "No losses were recorded.")
        parts += [f"<h3>{escape(run.name)}</h3>", panels]
    if pictures:
        parts += ["<h2>One batch</h2>", f"<p>{escape(pictures.caption)}</p>"]
        parts += [_picture(title, png) for title, png in pictures.images.items()]
    if gallery:
        parts += ["<h2>Nearest neighbours</h2>", f"<p>{LEGEND}</p>", gallery]
    parts += ["<h2>Configuration</h2>", *map(_config, runs)]
    write_text(path, PAGE.format(title=escape(title), style=STYLE, body="\n".join(parts)))


def _results(runs: Sequence[RunRecord]) -> str:
    """A table with two lines for each run: figures after the last epoch and after the best."""
    keys = {
        key.partition("/")[2]: None for run in runs for key in run.results if key.startswith("last")
    }
    keys |= {
        key.partition("/")[2]: None
        for run in runs
        for key in run.results
        if key.startswith("best/")
    }
    measured = [(key, TITLES.get(key, key.replace("recall@", "R@") + " [%]")) for key in keys]
    head = ["run", "epoch", *(title for _, title in measured), *(cost.title for cost in COSTS)]
    lines = ["<tr>" + "".join(f"<th>{escape(title)}</th>" for title in head) + "</tr>"]
    for run in runs:
        costs = "".join(f'<td rowspan="2">{escape(cost.show(run.results))}</td>' for cost in COSTS)
        for which, epoch in (("last", _last_epoch(run)), ("best", run.results.get("best_epoch"))):
            figures = [Column(f"{which}/{key}", "", "percent").show(run.results) for key in keys]
            cells = [f'<th class="epoch">{_epoch(which, epoch)}</th>']
            cells += [f"<td>{escape(figure)}</td>" for figure in figures]
            if which == "last":
                cells = [f'<th rowspan="2">{escape(run.name)}</th>', *cells, costs]
            lines.append(f'<tr class="{which}">{"".join(cells)}</tr>')
    return f'<div class="wide"><table>\n{chr(10).join(lines)}\n</table></div>'


def _last_epoch(run: RunRecord) -> float | None:
    return run.history[-1].get("epoch") if run.history else None


def _epoch(which: str, epoch: float | None) -> str:
    known = epoch is not None and math.isfinite(epoch)
    return f"{which} ({epoch:.0f})" if known else which


def _panels(panels: Mapping[str, str], otherwise: str, layout: str = "panels") -> str:
    """The panels side by side, or a sentence where there are none."""
    if not panels:
        return f"<p>{otherwise}</p>"
    # As separate images, so that identifiers inside the drawings cannot clash.
    images = [
        f'<img alt="{escape(title)}" src="data:image/svg+xml;base64,'
        f'{base64.b64encode(svg.encode("utf-8")).decode("ascii")}">'
        for title, svg in panels.items()
    ]
    return f'<div class="{layout}">{"".join(images)}</div>'


def _picture(title: str, png: bytes) -> str:
    data = base64.b64encode(png).decode("ascii")
    source = f'src="data:image/png;base64,{data}"'
    return f'<h3>{escape(title)}</h3><img class="wide" alt="{escape(title)}" {source}>'


def _config(run: RunRecord) -> str:
    text = escape(run.config)
    return f"<details><summary>{escape(run.name)}</summary><pre>{text}</pre></details>"


STYLE = """
:root { color-scheme: light; }
body { margin: 0 auto; padding: 1rem; max-width: 1180px; color: #1b1b1b; background: #fff;
  font: 16px/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.7rem; line-height: 1.2; }
h2 { margin-top: 2.2rem; padding-bottom: .2rem; border-bottom: 2px solid #0072B2; }
h3 { margin-bottom: .4rem; }
p { max-width: 75ch; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; overflow-wrap: normal; }
th, td { padding: .3rem .6rem; text-align: right; white-space: nowrap; }
th:first-child, th:first-child + th, th.epoch { text-align: left; }
th:first-child { white-space: normal; min-width: 7rem; }
th.epoch { font-weight: normal; }
tr:first-child th { border-bottom: 2px solid #666; white-space: normal; vertical-align: bottom; }
tr.last > * { border-top: 1px solid #ccc; }
.panels { display: grid; gap: .8rem;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 340px), 1fr)); }
.pairs { grid-template-columns: repeat(auto-fill, minmax(min(100%, 440px), 1fr)); }
.panels img { width: 100%; }
img.wide { max-width: 100%; }
.neighbours { display: grid; gap: .5rem; margin-bottom: .6rem; padding: .6rem;
  grid-template-columns: repeat(auto-fit, minmax(98px, 1fr)); background: #f5f5f5;
  border-radius: 6px; }
figure { margin: 0; max-width: 160px; padding: 3px; border: 3px solid; border-radius: 4px;
  background: #fff; }
figure img { display: block; width: 100%; aspect-ratio: 1; object-fit: contain; }
figure.query { border-color: #0072B2; }
figure.right { border-color: #009E73; }
figure.wrong { border-color: #D55E00; border-style: dashed; }
figcaption { font-size: .85rem; line-height: 1.25; padding: .2rem .1rem 0; }
figcaption b { display: block; }
figcaption span { display: -webkit-box; overflow: hidden; -webkit-box-orient: vertical;
  -webkit-line-clamp: 3; }
.query b { color: #00507d; } .right b { color: #00664b; } .wrong b { color: #a34700; }
details { margin: .5rem 0; }
summary { cursor: pointer; font-weight: 600; }
pre { overflow-x: auto; padding: .8rem; background: #f5f5f5; font-size: .85rem;
  overflow-wrap: normal; }
"""

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
  content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
{body}
</body>
</html>
"""
