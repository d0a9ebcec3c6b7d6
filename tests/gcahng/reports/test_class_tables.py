import torch

from gcahng.evaluation.classes import ClassFigures, class_figures
from gcahng.reports.page import write_report
from gcahng.runs.record import RunRecord
from tests.gcahng.reports.test_page import RESULTS, Page, history


def test_classes_and_confused_pairs_are_tables(tmp_path):
    names = [f"class <{label}>" for label in range(20)]
    tables = class_figures(torch.eye(40)[:, :3] + 0.01, torch.arange(40) // 2, names)
    run = RunRecord("a", history(), RESULTS, "")
    write_report(tmp_path / "r.html", "x", run, classes=tables)
    cells = Page((tmp_path / "r.html").read_text(encoding="utf-8")).cells()
    assert {"All 20 classes", "Confused classes"} <= set(cells)
    assert cells.count("class <0>") >= 2
    write_report(tmp_path / "r.html", "x", run, classes=ClassFigures(tables.classes[:2], []))
    text = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert "The nearest neighbour of every query is of its class." in text
