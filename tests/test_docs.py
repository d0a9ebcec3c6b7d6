"""The documentation site builds without warnings, works offline, and its commands exist."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest
import typer
import yaml

from gcahng import __version__
from gcahng.cli import app

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
# Lines of console blocks that call the program, without comments.
LINES = sorted(
    {
        line.strip()
        for page in PAGES
        for block in re.findall(r"```console\n(.*?)```", page.read_text(encoding="utf-8"), re.S)
        for line in block.replace("\\\n", " ").splitlines()
        if re.match(r"(?:\$ )?(?:python -m )?gcahng ", line)
    }
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("mkdocs")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    return folder


def test_the_site_has_every_page_and_formula(site: Path) -> None:
    pages = {path.relative_to(site).as_posix() for path in site.rglob("*.html")}
    assert {"index.html", "method.html", "api/generators.html", "contributing.html"} <= pages
    for notebook in (ROOT / "docs").glob("*.ipynb"):
        text = (site / f"{notebook.stem}.html").read_text(encoding="utf-8")
        assert "data:image/png" in text
        assert (site / notebook.name).is_file(), "to download"
    for page in site.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        assert "arithmatex" not in text, page
        assert ".. math::" not in text, page
    method = (site / "method.html").read_text(encoding="utf-8")
    source = (ROOT / "docs" / "method.md").read_text(encoding="utf-8")
    formulas = re.findall(r"\$\$.+?\$\$|\$[^$]+\$", source, re.DOTALL)
    assert method.count("<math") == len(formulas) > 5
    generators = (site / "api/generators.html").read_text(encoding="utf-8")
    assert "<math" in generators
    assert "HardNegatives" in generators


def test_the_site_loads_nothing_from_elsewhere(site: Path) -> None:
    loaded = r"""<(?:script|link|img|iframe)\b[^>]*\b(?:src|href)=["'](https?:[^"']+)"""
    found = {
        link
        for page in site.rglob("*.html")
        for link in re.findall(loaded, page.read_text(encoding="utf-8"))
    }
    assert found == set()


def test_every_page_is_in_the_navigation() -> None:
    """The pages of single results are linked from theirs."""
    text = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    docs = ROOT / "docs"
    results = (docs / "results/README.md").read_text(encoding="utf-8")
    linked = {f"results/{name}" for name in re.findall(r"\]\((\w+\.md)\)", results)}
    named = set(re.findall(r"[\w/]+\.md", text)) | linked
    assert {page.relative_to(docs).as_posix() for page in docs.rglob("*.md")} <= named
    assert yaml.safe_load(text)["strict"]


@pytest.mark.parametrize("line", LINES)
def test_commands_shown_are_understood(line: str) -> None:
    """Verb, arguments and options of every command shown; the experiments in them: test_readme."""
    words = shlex.split(line.removeprefix("$ "), comments=True)
    words = words[words.index("gcahng") + 1 :]
    command: click.Command = typer.main.get_command(app)
    context = click.Context(command)
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        name = words.pop(0)
        found = command.get_command(context, name)
        assert found is not None, name
        command = found
    if "--help" not in words and not isinstance(command, click.Group):
        command.make_context(command.name, words)


def test_the_version_is_the_same_everywhere() -> None:
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert f'version = "{__version__}"' in project
    assert citation["version"] == __version__
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    # Before the first release there is only "Unreleased".
    assert f"## [{__version__}]" in changes or changes.count("\n## [") == 1
