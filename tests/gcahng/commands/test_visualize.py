"""`gcahng visualize` on a run of digits: what it draws, and one sentence for each mistake."""

import shutil
from pathlib import Path

import pytest
from PIL import Image

from gcahng.reports.batch_pictures import TITLES
from tests.conftest import Call
from tests.gcahng.training.test_trainer import _trainer

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def run(held_out_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy, because the pictures are put into the run."""
    return Path(shutil.copytree(held_out_run, tmp_path_factory.mktemp("visualize") / "run"))


@pytest.fixture
def few_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw only two of the pictures: a test of the files alone need not wait for the rest."""
    for name in set(TITLES) - {"graph", "distances"}:
        monkeypatch.delitem(TITLES, name)


def test_everything_there_is(run: Path, tmp_path: Path, call: Call) -> None:
    out = tmp_path / "pictures"
    said = call("visualize", run, "--out", out)
    assert said.status == 0
    names = {f"{name}.png" for name in TITLES} | {"graph.html"}
    assert {file.name for file in out.iterdir()} == names
    for name in TITLES:
        with Image.open(out / f"{name}.png") as picture:
            assert min(picture.size) > 300
    told = said.out
    assert "digits, seed 0, epoch" in told
    assert "batch 0 of the test split of digits" in told
    assert "left out" not in told


@pytest.mark.usefixtures("few_pictures")
def test_pictures_lie_in_the_run_and_link_to_its_report(run: Path, call: Call) -> None:
    (run / "report.html").write_text("the report")
    assert call("visualize", run).status == 0
    page = (run / "visualize" / "graph.html").read_text(encoding="utf-8")
    assert 'href="../report.html"' in page
    assert 'href="distances.png"' in page
    shutil.rmtree(run / "visualize")


def test_a_run_without_a_generator_shows_its_correlations(tmp_path: Path, call: Call) -> None:
    run = tmp_path / "run"
    _trainer(run, "train.epochs=1", "generator=null").fit()
    (run / "visualize").mkdir()
    (run / "visualize" / "negatives.png").write_text("of another batch")
    told = call("visualize", run).out
    assert "left out coefficients.png: the run has no generator, so it has no coefficients" in told
    assert "left out negatives.png: the run has no generator, so it has no negatives" in told
    assert (run / "visualize" / "graph.png").is_file()
    assert not (run / "visualize" / "negatives.png").exists()


@pytest.mark.usefixtures("few_pictures")
def test_a_checkpoint_outside_of_a_run_writes_only_where_it_is_told(
    run: Path, tmp_path: Path, call: Call
) -> None:
    alone = tmp_path / "a" / "b" / "model.pt"
    alone.parent.mkdir(parents=True)
    shutil.copy(run / "checkpoints" / "best.pt", alone)
    said = call("visualize", alone)
    assert said.status == 1
    assert "is not in a run folder: choose a folder for the pictures with --out" in said.err
    assert call("visualize", alone, "--out", tmp_path / "out").status == 0
    assert [path.name for path in alone.parent.parent.iterdir()] == ["b"]
    assert "is a file: name a folder" in call("visualize", run, "--out", alone).err


@pytest.mark.usefixtures("few_pictures")
def test_a_checkpoint_of_a_run_is_the_run(run: Path, call: Call) -> None:
    assert call("visualize", run / "checkpoints" / "last.pt").status == 0
    assert (run / "visualize" / "distances.png").is_file()
    shutil.rmtree(run / "visualize")
