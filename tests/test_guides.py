"""The code and the commands that the guides show do what they say."""

import re
import shlex
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from torch.nn import functional as F

from gcahng.inference.embedder import load_embedder
from gcahng.inference.indexing import index_folder
from gcahng.inference.onnx_export import export_onnx
from tests.conftest import Call
from tests.gcahng.inference.conftest import draw, write_model
from tests.test_docs import LINES
from tests.test_readme import PAGES

pytestmark = pytest.mark.slow

PYTHON = re.findall(r"```python\n(.*?)```", PAGES, re.S)
(ONNX,) = (code for code in PYTHON if "onnxruntime" in code)
SEARCHING = [code for code in PYTHON if "load_embedder" in code]
PARTS = [code for code in PYTHON if "HardNegativeGenerator" in code]
(OWN,) = (code for code in PYTHON if code.startswith("# my_parts.py"))
FUNCTIONS = [code for code in PYTHON if code not in [*SEARCHING, *PARTS, OWN, ONNX]]


@pytest.mark.parametrize("code", PARTS)
def test_python_shown_runs(code: str) -> None:
    names: dict[str, Any] = {}
    exec(code, names)
    assert names["negatives"].negatives.shape == (3, 4, 4, 64)
    assert names["generator"].hardness.metric < 1e6


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a trained model, a store, and pictures to search for."""
    folder = tmp_path_factory.mktemp("shop")
    write_model(folder / "runs" / "photos-seed0", 0, "data.root=photos")
    for number in range(6):
        draw(folder / "photos" / "cup" / f"{number}.png", "red", number)
    for name in ("a", "b", "new"):
        draw(folder / f"{name}.jpg", "green", 0)
    model = load_embedder(folder / "runs" / "photos-seed0")
    index_folder(model, folder / "photos", folder / "trained.store")
    # Its weights would be installed from a package.
    shutil.copytree(folder / "runs" / "photos-seed0", folder / "runs" / "photos_cpu-seed0")
    return folder


@pytest.mark.parametrize("code", SEARCHING)
def test_python_that_searches_runs(
    code: str, shop: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(shop)
    names: dict[str, Any] = {}
    exec(code, names)
    if "nearest" in names:
        assert len(names["nearest"]) == 5
        assert names["embeddings"].shape == (2, 16)
    else:
        assert capsys.readouterr().out.count(" cup ") == 5


def test_python_that_runs_an_onnx_file(
    shop: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(shop)
    draw(Path("b.jpg"), "red", 1)
    model = load_embedder("runs/photos-seed0", device="cpu")
    exported = export_onnx(model, "photos.onnx", ["a.jpg", "b.jpg"], with_preprocessing=True)
    assert exported.difference < exported.allowed
    exec(ONNX, {})
    a, b = F.normalize(model.embed(["a.jpg", "b.jpg"]))
    assert float(capsys.readouterr().out.split()[1]) == pytest.approx(float(a @ b), abs=0.01)


@pytest.mark.parametrize("code", FUNCTIONS)
def test_python_of_the_guides_runs(code: str) -> None:
    names: dict[str, Any] = {}
    exec(code, names)
    assert names["figure"].axes
    assert names["graph"].coefficients.shape == (144, 64)
    assert names["weights"].shape == (12, 12)


# What runs offline in seconds; trainings with embedded data only take their first step.
RUN = re.compile(
    r"data verify folder|(?:embed|index|search|share|export) |config |list$|tune .* --dry-run$"
    r"|evaluate runs/photos-seed0|train (?!--resume|paper|photos|quikstart|.*train\.epoch)"
)


@pytest.mark.parametrize(
    "settings",
    [
        ["mine.yaml"],
        ["digits", "generator.args.graph.conv={name: my_parts:Mean, args: {factor: 1}}"],
    ],
)
def test_classes_of_ones_own_train(
    settings: list[str], tmp_path: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "my_parts", raising=False)
    (tmp_path / "my_parts.py").write_text(OWN)
    (experiment,) = re.findall(r"```yaml\n(# mine.yaml\n.*?)```", PAGES, re.S)
    (tmp_path / "mine.yaml").write_text(experiment)
    said = call("train", *settings, "train.epochs=1", "--no-report", "--run", "run")
    assert said.status == 0
    assert (tmp_path / "run" / "results.json").exists()


def test_commands_shown_run(shop: Path, call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(shop)
    monkeypatch.setattr(sys, "path", [str(shop), *sys.path])
    (shop / "my_parts.py").write_text(OWN)
    for name in ("photos", "other_photos"):
        for number, colour in enumerate(("blue", "black", "orange", "purple")):
            for image in range(2):
                draw(shop / name / f"class{number}" / f"{image}.png", colour, image)
    lines = [shlex.split(line, comments=True) for line in LINES]
    commands = [words[words.index("gcahng") + 1 :] for words in lines]
    # Weights of this backbone would be downloaded.
    offline = [words for words in commands if not any("dinov2" in word for word in words)]
    chosen = [words for words in offline if RUN.match(" ".join(words))]
    assert len(chosen) > 20
    for words in chosen:
        files = (sorted(map(str, Path().glob(w))) if "*" in w else [w] for w in words)
        run = [word for group in files for word in group]
        dry = ["--dry-run"] if words[0] == "train" and "--dry-run" not in words else []
        said = call(*run, *dry)
        assert said.status == 0, (words, said)
    for made in ("photos.npy", "photos.onnx", "found.html", "shared/photos", "schema.json"):
        assert (shop / made).exists(), made
