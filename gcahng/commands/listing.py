"""`gcahng list`: packaged files and the components that they can name, a line each."""

import ast
import importlib
import re
from importlib.util import find_spec
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from gcahng.registry import Registry

FILES = ("experiments", "grids", "studies")
# Kind → module and name of its registry; imported when asked for.
REGISTRIES = {
    "layers": ("gcahng.graph", "CONVS"),
    "generators": ("gcahng.generators", "GENERATORS"),
    "losses": ("gcahng.losses", "LOSSES"),
    "backbones": ("gcahng.models", "BACKBONES"),
    "data": ("gcahng.data", "DATASETS"),
    "transforms": ("gcahng.data", "TRANSFORMS"),
}
KINDS = (*FILES, *REGISTRIES)
# The end of a sentence, or of a line that introduces a list.
_END = re.compile(r"[.;:?](\n|$)|(?<!et al)[.?](?= )")


def list_components(
    kind: Annotated[str | None, typer.Argument(help=f"{', '.join(KINDS)}; default: all.")] = None,
) -> None:
    """List experiments and the components that they can name, with a sentence about each.

    Example: gcahng list generators
    """
    from gcahng.registry import lookup

    if kind is not None:
        lookup(dict.fromkeys(KINDS), kind, "kind")
    for name in KINDS if kind is None else (kind,):
        lines = _files(name) if name in FILES else _components(name)
        if kind is None:
            lines = [f"{name}:", *(f"  {line}" for line in lines), ""]
        print("\n".join(lines))


def _files(kind: str) -> list[str]:
    from gcahng.config.layers import EXPERIMENTS, GRIDS, STUDIES, find_config, packaged_experiments

    names = packaged_experiments()
    if kind != "experiments":
        folder = EXPERIMENTS / {"grids": GRIDS, "studies": STUDIES}[kind]
        names = [f"{folder.name}/{file.stem}" for file in sorted(folder.glob("*.yaml"))]
    comments = {}
    for name in names:
        lines = find_config(name).read_text("utf-8").splitlines()
        # The first comment, without the line that names the schema.
        lines = [line for line in lines if not line.startswith("# yaml-language-server:")]
        comment = takewhile(lambda line: line.startswith("#"), lines)
        comments[name] = "\n".join(line.lstrip("# ") for line in comment)
    return _aligned(comments)


def registry(kind: str) -> "Registry[Any]":
    """Import the registry of a kind of components."""
    module, name = REGISTRIES[kind]
    found: Registry[Any] = getattr(importlib.import_module(module), name)
    return found


def _components(kind: str) -> list[str]:
    found = registry(kind)
    lines = _aligned({name: _about(name, found.entries[name]) for name in sorted(found)})
    return [*lines, *(f"or {other}" for other in found.others)]


def _aligned(texts: dict[str, str]) -> list[str]:
    """Put the first sentence of each text, in one line, beside its name."""
    width = max(map(len, texts))
    lines = []
    for name, text in texts.items():
        end = _END.search(text)
        sentence = " ".join((text[: end.start()] if end else text).split())
        lines.append(f"{name:{width}}  {sentence}{'?' if end and end[0][0] == '?' else '.'}")
    return lines


def _about(name: str, entry: str | tuple[str, str]) -> str:
    """Return the docstring of a component, which is not imported; an operator of PyG has a name."""
    if not isinstance(entry, str):
        return f"PyTorch Geometric's {entry[1]}."
    module, _, definition = entry.partition(":")
    spec = find_spec(module)
    assert spec is not None
    assert spec.origin is not None
    nodes = ast.parse(Path(spec.origin).read_text(encoding="utf-8")).body
    found = next(node for node in nodes if getattr(node, "name", "") == definition)
    assert isinstance(found, ast.ClassDef | ast.FunctionDef)
    return ast.get_docstring(found) or ""
