"""The tree keeps its shape: imports flow one way, and every package is listed and complete."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # pytest needs it there too

ROOT = Path(__file__).resolve().parents[1]
# The folders at the top of the repository that are imported from `gcahng`.
LINKED = ("data", "experiments", "graph", "models")
CODE = ("data", "gcahng", "graph", "models")


def _files(folder: str) -> list[Path]:
    """Python files below a folder of the repository, without those behind links."""
    files = (ROOT / folder).rglob("*.py")
    return sorted(file for file in files if not _is_behind_link(file))


def _is_behind_link(file: Path) -> bool:
    return any(parent.is_symlink() for parent in file.parents if parent.is_relative_to(ROOT))


def _package(folder: Path) -> str:
    """The name that a folder of the repository is imported by."""
    parts = folder.relative_to(ROOT).parts
    return ".".join(parts if parts[0] == "gcahng" else ("gcahng", *parts))


def _imports(file: Path) -> Iterator[str]:
    """Yield the module of every absolute import, the ones inside functions too."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("package", ["data", "graph", "models"])
def test_imports_flow_one_way(package: str) -> None:
    allowed = tuple(f"gcahng.{name}" for name in (package, "registry", "files"))
    wrong = {
        str(file.relative_to(ROOT)): found
        for file in _files(package)
        if (found := [name for name in _ours(file) if not name.startswith(allowed)])
    }
    assert wrong == {}


def _ours(file: Path) -> Iterator[str]:
    return (name for name in _imports(file) if name.partition(".")[0] == "gcahng")


@pytest.mark.parametrize("folder", [*CODE, "tests"])
def test_everything_is_imported_from_gcahng(folder: str) -> None:
    wrong = {
        str(file.relative_to(ROOT)): found
        for file in _files(folder)
        if (found := [name for name in _imports(file) if name.partition(".")[0] in LINKED])
    }
    assert wrong == {}


def test_imports_reads_every_form(tmp_path: Path) -> None:
    file = tmp_path / "x.py"
    file.write_text("import a.b, c\nfrom d.e import f\nfrom . import g\ndef h():\n    import i\n")
    assert list(_imports(file)) == ["a.b", "c", "d.e.f", "i"]


@pytest.mark.parametrize("name", LINKED)
def test_links_lead_to_the_folders(name: str) -> None:
    assert (ROOT / "gcahng" / name).readlink() == Path("..") / name


def test_packages_listed_are_the_packages_there() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    listed = settings["tool"]["setuptools"]["packages"]
    there = {_package(file.parent) for folder in (*CODE, "experiments") for file in _files(folder)}
    assert sorted(listed) == sorted(there)


def test_every_python_folder_is_a_package() -> None:
    folders = {file.parent for name in (*CODE, "experiments", "tests") for file in _files(name)}
    assert sorted(path for path in folders if not (path / "__init__.py").exists()) == []


def test_experiments_hold_no_code() -> None:
    assert [file.name for file in _files("experiments")] == ["__init__.py"]
