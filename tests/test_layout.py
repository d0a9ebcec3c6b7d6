"""The tree keeps its shape: imports flow one way, and every package is listed and complete."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import networkx
import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # pytest needs it there too

ROOT = Path(__file__).resolve().parents[1]
# The folders at the top of the repository that are imported from `gcahng`.
LINKED = ("data", "experiments", "graph", "models")
CODE = ("data", "gcahng", "graph", "models")
# Of one function, without its docstring.
MOST_LINES_OF_ONE = 50


def test_names_imported_on_use_are_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    from gcahng import losses

    monkeypatch.delitem(vars(losses), "NPairLoss", raising=False)
    assert {"LOSSES", "NPairLoss"} <= set(dir(losses))


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
    """Yield what every absolute import imports, also those inside functions and blocks."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _ours(file: Path) -> set[str]:
    """The rooms that a file imports from: names of folders and files below `gcahng`."""
    names = (name.split(".") for name in _imports(file))
    return {parts[1] for parts in names if parts[0] == "gcahng" and len(parts) > 1}


# From top to bottom: a room imports from rooms further down only, never from its neighbours.
ROOMS = (
    ("cli",),
    ("commands",),
    ("server", "studies"),
    ("inference",),
    ("reports", "training"),
    ("runs",),
    ("builders",),
    ("evaluation", "generators"),
    ("config", "losses"),
    ("data", "graph", "jobs", "models"),
    ("files", "pages", "pictures", "preparation", "processes", "registry"),
    ("allocator", "arguments", "reasons"),
    ("errors",),
)


@pytest.mark.parametrize("level", range(len(ROOMS)), ids=lambda level: ", ".join(ROOMS[level]))
def test_imports_flow_down(level: int) -> None:
    below = {name for names in ROOMS[level + 1 :] for name in names}
    wrong = {
        f"{room}: {file.name}": sorted(found)
        for room in ROOMS[level]
        for file in _room(room)
        if (found := _ours(file) - below - {room, "__version__"})
    }
    assert wrong == {}


def _room(name: str) -> list[Path]:
    """The Python files of a room, a folder or a single file."""
    folder = name if name in LINKED else f"gcahng/{name}"
    return _files(folder) if (ROOT / folder).is_dir() else [ROOT / f"{folder}.py"]


def test_every_room_is_in_the_plan() -> None:
    there = {path.stem for path in (ROOT / "gcahng").iterdir() if path.suffix in ("", ".py")}
    planned = {name for names in ROOMS for name in names}
    assert there - {"__pycache__", "__init__", "__main__", "experiments"} == planned


def test_no_files_import_each_other_in_a_circle() -> None:
    files = {_module(file): file for folder in CODE for file in _files(folder)}
    arrows = networkx.DiGraph(
        (name, found)
        for name, file in files.items()
        for used in _imports(file)
        if (found := _owner(used, files)) not in (None, name)
    )
    assert arrows.has_edge("gcahng.training.experiment", "gcahng.training.step")
    # Inside a function, so that `gcahng --help` is quick.
    assert arrows.has_edge("gcahng.commands.ablate", "gcahng.studies")
    circles = networkx.strongly_connected_components(arrows)
    assert [sorted(circle) for circle in circles if len(circle) > 1] == []


def _module(file: Path) -> str:
    package = _package(file.parent)
    return package if file.stem == "__init__" else f"{package}.{file.stem}"


def _owner(name: str, files: dict[str, Path]) -> str | None:
    """The file that an imported name is read from."""
    while name and name not in files:
        name = name.rpartition(".")[0]
    return name or None


@pytest.mark.parametrize("folder", [*CODE, "examples", "tests"])
def test_everything_is_imported_from_gcahng(folder: str) -> None:
    wrong = {
        str(file.relative_to(ROOT)): found
        for file in _files(folder)
        if (found := [name for name in _imports(file) if name.partition(".")[0] in LINKED])
    }
    assert wrong == {}


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


def test_nothing_else_is_committed_at_the_top() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode or not listed.stdout:
        pytest.skip("not a checkout that git reads")
    folders = {line.split("/")[0] for line in listed.stdout.splitlines() if "/" in line}
    assert folders == {*CODE, "experiments", "tests", "docs", "examples", ".ci", ".github"}


def test_experiments_hold_no_code() -> None:
    assert [file.name for file in _files("experiments")] == ["__init__.py"]


def _docstring_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    if ast.get_docstring(node) is None:
        return 0
    return (node.body[0].end_lineno or 0) - node.body[0].lineno + 1


def test_functions_can_be_read_at_a_glance() -> None:
    long = []
    for file in (file for folder in (*CODE, "examples") for file in _files(folder)):
        text, name = file.read_text(encoding="utf-8"), file.relative_to(ROOT)
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or 0) - node.lineno + 1 - _docstring_lines(node)
                long += [f"{name}: {node.name}: {lines}"] if lines > MOST_LINES_OF_ONE else []
    assert long == []
