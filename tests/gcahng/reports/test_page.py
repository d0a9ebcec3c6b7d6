import base64
import math
import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest

from gcahng.reports.gallery import GalleryEntry
from gcahng.reports.run_report import write_report
from gcahng.runs.record import RunRecord

VOID = {"meta", "img", "br"}


class Page(HTMLParser):
    """Collects tags, attributes and text; fails on tags that do not nest."""

    def __init__(self, html):
        super().__init__()
        self.open, self.tags, self.attributes, self.text = [], [], [], []
        self.feed(html)
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += attributes
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data.strip())

    def cells(self):
        return [text for text in self.text if text]


def history(epochs=6, prefix="val"):
    return [
        {
            "epoch": float(epoch),
            "seconds": 1.5 * epoch,
            "loss/metric": 2.0 / epoch,
            "loss/node_ce": math.nan if epoch == 2 else 0.01 / epoch,
            "loss/generator": 1.0,
            "loss/gradient": 0.1 * epoch,
            **({f"{prefix}/recall@1": epoch / 10, f"{prefix}/map@r": 0.1} if epoch % 2 else {}),
        }
        for epoch in range(1, epochs + 1)
    ]


RESULTS = {
    "last/recall@1": 0.71234,
    "best/recall@1": 0.73,
    "last/map@r": math.nan,
    "epochs": 6,
    "best_epoch": 5,
    "seconds": 12.34,
    "peak_memory_mib": 467.8,
}


def svg_images(html):
    data = re.findall(r'src="data:image/svg\+xml;base64,([^"]+)"', html)
    return [ElementTree.fromstring(base64.b64decode(part)) for part in data]


def test_report_shows_results_curves_and_configuration(tmp_path):
    path = tmp_path / "run" / "report.html"
    run = RunRecord("N-pair", history(), RESULTS, "train:\n  epochs: 6\n")
    write_report(path, "One run", run, notes=["One seed."])
    html = path.read_text(encoding="utf-8")
    page = Page(html)
    cells = page.cells()
    start = cells.index("run")
    assert cells[start : start + 6] == (["run", "epoch", "R@1", "MAP@R", "s", "MiB"])
    assert cells[start + 6 : start + 14] == (
        ["N-pair", "last (6)", "71.23", "–", "12.3", "468", "best (5)", "73.00"]
    )
    assert {"One seed.", "One run", "train:\n  epochs: 6"} <= set(cells)
    assert page.tags.count("details") == 1
    # 2 metrics, then 3 panels of losses.
    assert len(svg_images(html)) == 2 + 3


def test_report_needs_no_network(tmp_path):
    write_report(tmp_path / "r.html", "x", RunRecord("a", history(), RESULTS, ""))
    html = (tmp_path / "r.html").read_text(encoding="utf-8")
    page = Page(html)
    assert not {"script", "link", "iframe"} & set(page.tags)
    sources = [value for name, value in page.attributes if name in ("src", "href")]
    assert sources
    assert all(source.startswith("data:image/") for source in sources)
    assert "url(" not in html
    assert "default-src 'none'" in html


def test_everything_is_escaped(tmp_path):
    nasty = "<script>alert('x')</script> & \"$\\frac$"
    entries = [
        GalleryEntry(kind, nasty, "✓", "data:image/png;base64,") for kind in ("query", "right")
    ]
    write_report(
        tmp_path / "r.html",
        nasty,
        RunRecord(nasty, history(), RESULTS | {f"last/{nasty}": 0.5}, nasty),
        gallery=[entries],
        notes=[nasty],
    )
    html = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert "<script" not in html
    assert "script" not in Page(html).tags
    # Title, heading, note, table, its column, losses, two gallery names, summary and configuration.
    assert sum(nasty in text for text in Page(html).cells()) == 10


ODD = [
    [{}],
    [{"epoch": 1.0, "seconds": 2.0, "val/recall@1": math.nan, "loss/metric": math.inf}],
    [{"epoch": math.nan, "val/recall@1": 0.5, "loss/metric": 0.0}],
    [{"epoch": 1.0, "val/recall@1": 0.5, "loss/metric": -1.0, "loss/total": 1e9}],
]


@pytest.mark.parametrize("rows", ODD)
def test_missing_and_broken_figures_do_not_crash(tmp_path, rows):
    run = RunRecord("_odd", rows, RESULTS, "")
    write_report(tmp_path / "r.html", "odd", run)
    assert "_odd" in Page((tmp_path / "r.html").read_text(encoding="utf-8")).cells()
