"""The notebooks run from top to bottom, and are small."""

import os
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

DOCS = Path(__file__).resolve().parents[1] / "docs"


@pytest.mark.parametrize("name", ["tour", "own_photos"])
def test_a_notebook_runs(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    if name == "own_photos":
        pytest.importorskip("lancedb")
    path = DOCS / f"{name}.ipynb"
    assert path.stat().st_size < 500_000
    notebook = nbformat.read(path, as_version=4)
    shown = [cell.outputs for cell in notebook.cells if cell.cell_type == "code"]
    monkeypatch.setenv("PYTHONPATH", str(DOCS.parent))
    # The cells call `python`, as in an environment that is active.
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    settings = {"metadata": {"path": str(tmp_path)}}
    nbclient.NotebookClient(notebook, timeout=600, resources=settings).execute()
    made = [cell.outputs for cell in notebook.cells if cell.cell_type == "code"]
    # What is shown is what one gets: as many pictures, in the same cells.
    assert [_pictures(outputs) for outputs in made] == [_pictures(outputs) for outputs in shown]
    text = str([output.get("text", "") for outputs in made for output in outputs])
    assert "error:" not in text
    assert "Traceback" not in text


def _pictures(outputs: list[dict]) -> int:
    return sum("image/png" in output.get("data", {}) for output in outputs)
