"""The examples in docstrings do what they show, and what users import has one."""

import doctest
import importlib
import inspect
import pkgutil
from pathlib import Path

import pytest
import torch

import gcahng
from tests.models.published_weights import synthetic_state

OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
MODULES = sorted(
    found.name
    for found in pkgutil.walk_packages(gcahng.__path__, "gcahng.")
    if found.name != "gcahng.__main__"
)
# Where users import from; classes and functions in `__all__` there need an example.
PUBLIC = ("gcahng", "gcahng.data", "gcahng.graph", "gcahng.graph.visualize", "gcahng.models")


def _examples(name: str) -> list[doctest.DocTest]:
    found = doctest.DocTestFinder().find(importlib.import_module(name))
    return [test for test in found if test.examples]


def test_modules_are_found() -> None:
    assert {"gcahng.graph.mixing", "gcahng.data.catalogue", "gcahng.runs.loading"} <= set(MODULES)
    assert sum(len(_examples(name)) for name in MODULES) > 30


@pytest.mark.parametrize("name", MODULES)
def test_examples_run(
    name: str, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    examples = _examples(name)
    if name == "gcahng.runs.loading":
        (tmp_path / "runs").mkdir()
        (tmp_path / "runs" / "digits-seed0").symlink_to(request.getfixturevalue("digits_run"))
    if name == "gcahng.runs.published":
        torch.save(synthetic_state("DINO"), tmp_path / "dino.pth")
    monkeypatch.chdir(tmp_path)
    for test in examples:
        report: list[str] = []
        doctest.DocTestRunner(optionflags=OPTIONS).run(test, out=report.append)
        assert not report, "".join(report)


@pytest.mark.parametrize("package", PUBLIC)
def test_public_functions_show_an_example(package: str) -> None:
    module = importlib.import_module(package)
    public = {name: getattr(module, name) for name in module.__all__}
    functions = {name: one for name, one in public.items() if inspect.isfunction(one)}
    without = [name for name, one in functions.items() if ">>>" not in (one.__doc__ or "")]
    assert without == []
