"""Arguments of `HardNegativeGenerator` without its groups, for tests that vary one at a time."""

from typing import Any, get_args

from gcahng.generators.gca_hng import GRAPH, WEIGHTS, Quirk


def grouped(args: dict[str, Any]) -> dict[str, Any]:
    """Put graph arguments, weights and quirks where the generator takes them.

    Example:
        >>> grouped({"heads": 2, "gamma": 1.0, "similarity_mask": True, "alpha": 3.0})
        {'graph': {'heads': 2}, 'weights': {'gamma': 1.0}, 'quirks': ['similarity_mask'], ...}
    """
    quirks = {name: args[name] for name in get_args(Quirk) if isinstance(args.get(name), bool)}
    graph = {name: args[name] for name in GRAPH if name in args and name not in quirks}
    weights = {name: args[name] for name in WEIGHTS if name in args}
    rest = {name: args[name] for name in args if name not in {*quirks, *graph, *weights}}
    followed = [name for name, follows in quirks.items() if follows]
    return {"graph": graph, "weights": weights, "quirks": followed, **rest}
