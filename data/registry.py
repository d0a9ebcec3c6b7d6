"""Building an entry of a registry by its name, as configurations and commands do."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

T = TypeVar("T")


def build(kind: str, registry: Mapping[str, Callable[..., T]], name: str, **args: Any) -> T:
    """Call the entry `name` of `registry` with `args`.

    Args:
        kind: What the registry holds, for the messages: "data set", "transform".
        registry: Names and what they build.
        name: The entry to call.
        **args: Its arguments.

    Raises:
        ValueError: If there is no such entry, or it does not take these arguments.
    """
    if name not in registry:
        raise ValueError(f"Unknown {kind} '{name}': choose one of {', '.join(sorted(registry))}.")
    signature = inspect.signature(registry[name])
    try:
        signature.bind(**args)
    except TypeError as error:
        known = ", ".join(signature.parameters)
        raise ValueError(f"The {kind} '{name}' has {error}; it takes {known}.") from error
    return registry[name](**args)
