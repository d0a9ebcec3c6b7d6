"""The built wheel, installed by itself, works from a project with any names of its own."""

import os
import re
import shlex
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from packaging.metadata import Metadata
from packaging.requirements import Requirement

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[1]
# Names that projects of the field use for their own code, as packages and as modules.
NAMES = ("data", "experiments", "graph", "models")
# What the README, the guides and the notes of experiments and examples install.
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
PAGES += [
    path for kind in ("docs/*.md", "docs/*.ipynb", "examples/*.py") for path in ROOT.glob(kind)
]
PAGES += (ROOT / "experiments").rglob("*.yaml")
LINES = sorted(
    {
        found.strip()
        for page in PAGES
        # In a notebook, which is JSON, quotes are escaped.
        for found in re.findall(
            r"pip install\s+([^`\n]+)", page.read_text(encoding="utf-8").replace('\\"', '"')
        )
    }
)
MODEL = """
from gcahng.generators.hardest_point import HardestReal

class Mine(HardestReal):
    pass
"""
SCRIPT = """
import data, experiments, graph, models
import gcahng
from gcahng import HardNegativeGenerator
from gcahng.data import build_dataset
from gcahng.models import Embedder
print(gcahng.__file__)
print(data.__file__, experiments.__file__, graph.__file__, models.__file__)
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from what git would hand out, links left behind."""
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    for name in subprocess.check_output(listed, cwd=ROOT, text=True).splitlines():
        # Where links cannot be made, git leaves text files in their place.
        if (ROOT / name).is_file() and not (ROOT / name).is_symlink():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((ROOT / name).read_bytes())
    for name in NAMES:
        (source / "gcahng" / name).write_text(f"../{name}")
    options = ["--no-deps", "--no-build-isolation", "--disable-pip-version-check", "-q"]
    _run([sys.executable, "-m", "pip", "wheel", *options, "-w", target, source], source)
    return next(target.glob("*.whl"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds the wheel's content alone."""
    folder = tmp_path_factory.mktemp("installed")
    options = ["--no-deps", "--no-index", "--disable-pip-version-check", "-q"]
    _run([sys.executable, "-m", "pip", "install", *options, "--target", folder, wheel], folder)
    return folder


def make_project(folder: Path) -> Path:
    """A user's project whose names are all of those that this repository uses."""
    for number, name in enumerate(NAMES):
        file = folder / (f"{name}/__init__.py" if number % 2 else f"{name}.py")
        file.parent.mkdir(exist_ok=True)
        file.write_text(MODEL if name == "models" else "")
    (folder / "train.py").write_text(SCRIPT)
    return folder


def _run(command: list[object], cwd: Path, path: Path | None = None) -> str:
    environment = os.environ | ({} if path is None else {"PYTHONPATH": str(path)})
    done = subprocess.run(
        list(map(str, command)), cwd=cwd, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_wheel_holds_the_whole_tree(wheel: Path) -> None:
    tracked = subprocess.check_output(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=ROOT, text=True
    ).splitlines()
    wanted = {
        name if name.startswith("gcahng/") else f"gcahng/{name}"
        for name in tracked
        if name.partition("/")[0] in ("gcahng", *NAMES)
        and (ROOT / name).is_file()
        and not (ROOT / name).is_symlink()
    }
    packed = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert packed == wanted


def test_there_are_lines_that_install() -> None:
    assert {'".[search]"', '".[onnx]"', "."} <= set(LINES)


@pytest.mark.parametrize("line", LINES)
def test_what_is_shown_can_be_installed(line: str, wheel: Path, tmp_path: Path) -> None:
    """Extras are the wheel's, and pip takes the line; other packages are dependencies of some."""
    with zipfile.ZipFile(wheel) as file:
        (name,) = (name for name in file.namelist() if name.endswith(".dist-info/METADATA"))
        metadata = Metadata.from_email(file.read(name), validate=False)
    known = {Requirement(str(one)).name for one in metadata.requires_dist or []}
    options = ["--dry-run", "--no-deps", "--no-index", "--disable-pip-version-check", "-q"]
    for word in shlex.split(line, comments=True):
        if word.startswith("-"):
            options += [] if word == "-e" else [word]
        elif word.startswith("."):
            extras = Requirement(f"gcahng{word[1:]}").extras
            assert extras <= set(metadata.provides_extra or [])
            listed = f"[{','.join(sorted(extras))}]" if extras else ""
            _run([sys.executable, "-m", "pip", "install", *options, f"{wheel}{listed}"], tmp_path)
        else:
            assert Requirement(word).name in known


def test_a_users_project_has_its_own_names(installed: Path, tmp_path: Path) -> None:
    """Their script imports theirs and ours, and `models:Mine` is theirs."""
    project = make_project(tmp_path)
    ours, theirs = _run([sys.executable, "train.py"], project, installed).splitlines()
    assert Path(ours).is_relative_to(installed)
    assert theirs.count(str(project)) == len(NAMES)
    settings = ["generator.name=models:Mine", "train.epochs=1", "fabric.accelerator=cpu"]
    out = _run([sys.executable, "-m", "gcahng", "train", "digits", *settings], project, installed)
    assert "report:" in out
    settings_kept = (project / "runs" / "digits-seed0" / "config.yaml").read_text()
    assert "name: models:Mine" in settings_kept
