"""One setting that a study varies: a range of numbers, or a list of choices."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from gcahng.errors import show

RANGE = ("low", "high", "log")


@dataclass(frozen=True)
class Dimension:
    """A setting and the values that it may have.

    Attributes:
        key: Its dotted path.
        values: The choices; for a range, both ends.
        is_range: Whether all numbers between the ends are meant; two integers mean integers.
        log: Whether a range is searched by orders of magnitude.
    """

    key: str
    values: tuple[Any, ...]
    is_range: bool = False
    log: bool = False

    @property
    def distribution(self) -> BaseDistribution:
        """What Optuna draws from.

        >>> Dimension("embedder.dim", (16, 64), is_range=True, log=True).distribution
        IntDistribution(high=64, log=True, low=16, step=1)
        """
        if not self.is_range:
            return CategoricalDistribution([_name(value) for value in self.values])
        low, high = self.values
        if isinstance(low, int) and isinstance(high, int):
            return IntDistribution(low, high, log=self.log)
        return FloatDistribution(low, high, log=self.log)

    def value(self, drawn: Any) -> Any:
        """The setting for what Optuna has drawn."""
        if self.is_range:
            return drawn
        return next(value for value in self.values if _name(value) == drawn)

    def __str__(self) -> str:
        if self.is_range:
            low, high = self.values
            return f"{self.key}: {low} to {high}{', by orders of magnitude' if self.log else ''}"
        return f"{self.key}: {', '.join(str(_name(value)) for value in self.values)}"


def read_dimension(key: str, value: object, place: str) -> Dimension:
    """Read a list of choices, or a mapping with `low`, `high` and maybe `log`.

    Raises:
        ValueError: If it is neither.

    >>> str(read_dimension("optim.embedder.lr", {"low": 1e-4, "high": 0.01, "log": True}, "here"))
    'optim.embedder.lr: 0.0001 to 0.01, by orders of magnitude'
    """
    if isinstance(value, Sequence) and not isinstance(value, str):
        names = [_name(choice) for choice in value]
        if len(set(map(repr, names))) < max(2, len(names)):
            raise ValueError(f"{place}: expected two or more different choices, got {show(value)}")
        return Dimension(key, tuple(value))
    if not isinstance(value, dict) or not {"low", "high"} <= value.keys():
        raise ValueError(f"{place}: expected a list of choices or {{low, high}}, got {show(value)}")
    if unknown := [name for name in value if name not in RANGE]:
        raise ValueError(f"{place}: unknown key {unknown[0]!r}; allowed here: {', '.join(RANGE)}")
    low, high, log = value["low"], value["high"], value.get("log", False)
    numbers = all(isinstance(end, int | float) and not isinstance(end, bool) for end in (low, high))
    if not numbers or not low < high:
        raise ValueError(f"{place}: expected two numbers, low below high, got {show(value)}")
    if not isinstance(log, bool) or (log and low <= 0):
        raise ValueError(f"{place}: log: expected true or false, and true only for low above 0")
    return Dimension(key, (low, high), True, log)


def _name(value: Any) -> Any:
    """What Optuna calls a choice: lists and mappings as text."""
    return json.dumps(value) if isinstance(value, list | dict) else value
