"""`gcahng list`: the packaged experiments and the components that they can name, a line each."""

import importlib
import inspect
import re
from functools import partial
from itertools import takewhile
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from gcahng.registry import Registry

EXPERIMENTS = "experiments"
# Kind → module and name of its registry; imported when asked for.
REGISTRIES = {
    "layers": ("gcahng.graph", "CONVS"),
    "generators": ("gcahng.generators", "GENERATORS"),
    "losses": ("gcahng.losses", "LOSSES"),
    "backbones": ("gcahng.models", "BACKBONES"),
    "data": ("gcahng.data", "DATASETS"),
    "transforms": ("gcahng.data", "TRANSFORMS"),
}
KINDS = (EXPERIMENTS, *REGISTRIES)
# The end of a sentence, or of a line that introduces a list.
_END = re.compile(r"[.;:](\n|$)|\.(?= )")
# The title of a paper in PyG's docstrings.
_TITLE = re.compile(r'"([^"]+)"')


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
        lines = _experiments() if name == EXPERIMENTS else _components(name)
        if kind is None:
            lines = [f"{name}:", *(f"  {line}" for line in lines), ""]
        print("\n".join(lines))


def _experiments() -> list[str]:
    from gcahng.config.layers import find_config, packaged_experiments

    texts = {name: find_config(name).read_text(encoding="utf-8") for name in packaged_experiments()}
    return _aligned({name: _comment(text) for name, text in texts.items()})


def registry(kind: str) -> "Registry[Any]":
    """Import the registry of a kind of components."""
    module, name = REGISTRIES[kind]
    found: Registry[Any] = getattr(importlib.import_module(module), name)
    return found


def _components(kind: str) -> list[str]:
    found = registry(kind)
    lines = _aligned({name: _about(found[name]) for name in sorted(found)})
    if found.library is not None:
        lines.append(f"or {found.library.described}")
    if found.user_base is not None:
        lines.append("or a class of your own as module.path:ClassName")
    return lines


def _aligned(texts: dict[str, str]) -> list[str]:
    """Put the first sentence of each text, in one line, beside its name."""
    width = max(map(len, texts))
    lines = []
    for name, text in texts.items():
        end = _END.search(text)
        sentence = " ".join((text[: end.start()] if end else text).split())
        lines.append(f"{name:{width}}  {sentence}.")
    return lines


def _about(component: Any) -> str:
    """Return what is said about a component; of an operator of PyG its name and its paper."""
    if not isinstance(component, partial):
        return inspect.getdoc(component) or ""
    operator = type(component(8, 8).operator)
    title = _TITLE.search(" ".join((inspect.getdoc(operator) or "").split()))
    return f"PyTorch Geometric's {operator.__name__}" + (f", {title[0]}." if title else ".")


def _comment(text: str) -> str:
    """Return the first comment of a YAML file, without the line that names its schema."""
    lines = [line for line in text.splitlines() if not line.startswith("# yaml-language-server:")]
    return "\n".join(line.lstrip("# ") for line in takewhile(lambda one: one[:1] == "#", lines))
