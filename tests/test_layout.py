"""The tree keeps its shape: imports flow one way, and every package is listed and complete."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # pytest needs it there too

ROOT = Path(__file__).resolve().parents[1]
CODE = ("data", "gcahng", "graph", "models")
SOURCE = (*CODE, "experiments")


def _python_folders(*tops: str) -> set[Path]:
    files = (file for top in tops for file in (ROOT / top).rglob("*.py"))
    return {file.parent.relative_to(ROOT) for file in files}


def _imports(file: Path) -> Iterator[str]:
    """Yield the top-level package of every absolute import, the ones inside functions too."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module.partition(".")[0]


@pytest.mark.parametrize("package", ["data", "graph", "models"])
def test_imports_flow_one_way(package: str) -> None:
    others = set(CODE) - {package}
    wrong = {
        str(file.relative_to(ROOT)): sorted(found)
        for file in (ROOT / package).rglob("*.py")
        if (found := others & set(_imports(file)))
    }
    assert wrong == {}


def test_imports_reads_every_form(tmp_path: Path) -> None:
    file = tmp_path / "x.py"
    file.write_text("import a.b, c\nfrom d.e import f\nfrom . import g\ndef h():\n    import i\n")
    assert list(_imports(file)) == ["a", "c", "d", "i"]


def test_packages_listed_are_the_packages_there() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    listed = settings["tool"]["setuptools"]["packages"]
    assert sorted(listed) == sorted(".".join(path.parts) for path in _python_folders(*SOURCE))


def test_every_python_folder_is_a_package() -> None:
    folders = _python_folders(*SOURCE, "tests")
    assert [
        str(path) for path in sorted(folders) if not (ROOT / path / "__init__.py").exists()
    ] == []


def test_a_users_folders_of_the_same_names_do_no_harm(tmp_path: Path) -> None:
    for name in SOURCE:
        (tmp_path / name / "photos").mkdir(parents=True)
    code = "import gcahng.build, data, graph, models; print(data.__file__)"
    answer = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True
    )
    assert answer.returncode == 0, answer.stderr
    assert str(tmp_path) not in answer.stdout


def test_experiments_hold_no_code() -> None:
    files = (ROOT / "experiments").rglob("*.py")
    assert [file.name for file in files] == ["__init__.py"]
