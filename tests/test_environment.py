"""environment.yml and pyproject.toml must ask for the same libraries, in the same versions."""

import re
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # pytest needs it there too

ROOT = Path(__file__).resolve().parents[1]
# conda's name → the name on PyPI, where the two differ.
PYPI_NAMES = {
    "faiss-gpu": "faiss-cpu",
    "huggingface_hub": "huggingface-hub",
    "pytorch": "torch",
    "pytorch_geometric": "torch-geometric",
    "pytorch_scatter": "torch-scatter",
    "typing_extensions": "typing-extensions",
}
# What lightning-fabric needs, from conda, so that pip adds a single wheel.
FABRIC_NEEDS = {"fsspec", "lightning-utilities"}
FOUNDING = (
    "faiss-cpu",
    "pyyaml",
    "timm",
    "torch",
    "torch-geometric",
    "torch-scatter",
    "torchvision",
)


def _parse(requirements: list[str]) -> dict[str, str]:
    """Return name → version specifier."""
    parts = (re.fullmatch(r"([\w.-]+)\s*(.*)", text) for text in requirements)
    return {part[1].lower(): part[2] for part in parts if part}


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


@pytest.fixture(scope="module", params=["environment.yml", "environment-cpu.yml"])
def conda(request: pytest.FixtureRequest) -> dict[str, str]:
    content = yaml.safe_load((ROOT / request.param).read_text(encoding="utf-8"))
    plain = [item for item in content["dependencies"] if isinstance(item, str)]
    by_pip = [
        text for item in content["dependencies"] if isinstance(item, dict) for text in item["pip"]
    ]
    found = _parse([*plain, *by_pip])
    # "version build", where the build chooses torch without CUDA.
    return {PYPI_NAMES.get(name, name): spec.partition(" ")[0] for name, spec in found.items()}


def test_every_requirement_is_in_both(project: dict[str, Any], conda: dict[str, str]) -> None:
    extras = project["optional-dependencies"]
    wanted = _parse([*project["dependencies"], *extras["scatter"]])
    assert {name: conda.get(name) for name in wanted} == wanted
    assert conda["python"] == project["requires-python"]
    assert set(FOUNDING) <= set(conda)


def test_nothing_is_in_conda_alone(project: dict[str, Any], conda: dict[str, str]) -> None:
    extras = project["optional-dependencies"]
    known = _parse(
        [*project["dependencies"], *(text for extra in extras.values() for text in extra)]
    )
    assert set(conda) - set(known) == {"python", "pip", *FABRIC_NEEDS}
    assert all(conda[name] == known[name] for name in set(conda) & set(known))


def test_the_two_files_differ_in_the_gpu_alone() -> None:
    texts = [(ROOT / name).read_text() for name in ("environment.yml", "environment-cpu.yml")]
    gpu, cpu = ([line for line in text.splitlines() if line[:1] != "#"] for text in texts)
    assert "prefix:" not in " ".join(texts), "of one machine"
    assert [line for line in gpu if line not in cpu] == ["  - faiss-gpu>=1.8", "  - pytorch>=2.6"]
    assert [line for line in cpu if line not in gpu] == [
        "  - faiss-cpu>=1.8",
        "  - pytorch >=2.6 cpu*",
    ]
