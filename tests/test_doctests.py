"""The examples in docstrings do what they show, and what users import has one."""

import doctest
import importlib
import inspect
import pkgutil
from dataclasses import is_dataclass
from importlib.util import find_spec
from pathlib import Path
from types import GenericAlias
from typing import Any

import pytest
import torch
from typing_extensions import is_typeddict

import gcahng
from tests.models.published_weights import synthetic_state

OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
# Where users import from; functions and classes in `__all__` there need an example.
PUBLIC = (
    "gcahng",
    "gcahng.config",
    "gcahng.data",
    "gcahng.generators",
    "gcahng.graph",
    "gcahng.graph.visualize",
    "gcahng.losses",
    "gcahng.models",
    "gcahng.studies",
)
# These need the trained runs of a grid.
WITHOUT_EXAMPLE = ("report_grid", "run_grid", "show_grid")


def _has_prompt(name: str) -> bool:
    """Whether `>>>` occurs in the source of a module, which is not imported for this."""
    spec = find_spec(name)
    assert spec is not None
    assert spec.origin is not None
    return ">>> " in Path(spec.origin).read_text(encoding="utf-8")


MODULES = sorted(
    found.name
    for found in pkgutil.walk_packages(gcahng.__path__, "gcahng.")
    if _has_prompt(found.name)
)


@pytest.mark.parametrize("name", MODULES)
def test_examples_run(
    name: str, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = doctest.DocTestFinder().find(importlib.import_module(name))
    examples = [test for test in found if test.examples]
    assert examples, f"{name} has '>>>' outside of docstrings only"
    if name == "gcahng.runs.loading" or name.startswith("gcahng.inference."):
        (tmp_path / "runs").mkdir()
        (tmp_path / "runs" / "digits-seed0").symlink_to(request.getfixturevalue("digits_run"))
    if name == "gcahng.runs.published":
        torch.save(synthetic_state("DINO"), tmp_path / "dino.pth")
    monkeypatch.chdir(tmp_path)
    for test in examples:
        report: list[str] = []
        doctest.DocTestRunner(optionflags=OPTIONS).run(test, out=report.append)
        assert not report, "".join(report)


def _needs_example(one: Any) -> bool:
    """True for functions, and for classes that are more than a record of fields."""
    if inspect.isfunction(one):
        return one.__name__ not in WITHOUT_EXAMPLE
    # In Python 3.10, `inspect.isclass` is true of an alias such as Callable[[Any], Tensor].
    if not inspect.isclass(one) or isinstance(one, GenericAlias):
        return False
    is_named_tuple = issubclass(one, tuple) and hasattr(one, "_fields")
    return not (is_dataclass(one) or is_named_tuple or is_typeddict(one))


@pytest.mark.parametrize("package", PUBLIC)
def test_public_names_show_an_example(package: str) -> None:
    module = importlib.import_module(package)
    public = {name: getattr(module, name) for name in module.__all__}
    needed = {name: one for name, one in public.items() if _needs_example(one)}
    without = [name for name, one in needed.items() if ">>>" not in (one.__doc__ or "")]
    assert needed
    assert without == []
