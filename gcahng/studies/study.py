"""A study: which experiments are tuned, over which settings, with how many trials each."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from pydantic import Field

from gcahng.config import ExperimentConfig
from gcahng.config.errors import show
from gcahng.config.layers import STUDIES
from gcahng.config.sections import MOST_SEEDS, Args, AtLeast1, Section, Seed
from gcahng.studies.experiments import (
    Mistakes,
    find_base,
    merge_settings,
    read_section,
    read_yaml,
)

RANGE = ("low", "high", "log")


class RivalSettings(Section):
    """One of several experiments that are tuned with the same number of trials."""

    base: str | None = None
    """The experiment; null: that of the study."""
    settings: Args = Field(default_factory=dict)
    """Settings of its trials."""
    search: Args = Field(default_factory=dict)
    """Settings that only this one varies."""


class StudyFile(Section):
    """The keys of a study's file; settings are nested mappings or have dotted keys."""

    title: str | None = None
    """Heading of the report; null: the file's name."""
    base: str
    """The experiment: a path relative to the file, or the name of a packaged one."""
    metric: str = "map@r"
    """What is maximised: a retrieval figure on the validation classes, of the best epoch."""
    trials: AtLeast1 = 20
    """How many settings are tried, for each rival."""
    seeds: Annotated[int, Field(ge=1, le=MOST_SEEDS)] = 1
    """How many seeds each setting is trained with; their mean counts."""
    first_seed: Seed = 0
    """The seeds are consecutive from this one."""
    prune: bool = True
    """Whether to stop a trial whose figure is below the median of the earlier ones."""
    sampler_seed: Seed = 0
    """Seed of the choice of settings."""
    settings: Args = Field(default_factory=dict)
    """Settings of every trial."""
    search: Args = Field(default_factory=dict)
    """By dotted path, a list of choices, or `{low, high}` with `log: true` for magnitudes."""
    rivals: dict[str, RivalSettings] = Field(default_factory=dict)
    """Experiments to compare, each tuned with `trials` trials; none: the base alone."""


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
        """Return the setting for what Optuna has drawn."""
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


@dataclass(frozen=True)
class Rival:
    """One experiment that is tuned.

    Attributes:
        name: In tables, and of its files.
        base: Its file.
        parts: Settings to merge into it, each with its place in the study's file.
        search: What is varied.
        source: The study's file.
    """

    name: str
    base: Path
    parts: tuple[tuple[str, Args], ...]
    search: tuple[Dimension, ...]
    source: str

    def config(self, drawn: Mapping[str, Any], seed: int) -> ExperimentConfig:
        """Return the experiment with drawn values, by dotted path.

        Raises:
            ValueError: If it is wrong in any way.
        """
        values = {d.key: d.value(drawn[d.key]) for d in self.search if d.key in drawn}
        parts = (*self.parts, ("search", values))
        return merge_settings(self.base, parts, self.name, seed, self.source)

    def check(self) -> None:
        """Raise if an end of a range, or a choice, is refused where all others have their first."""
        start = {d.key: d.values[0] if d.is_range else _name(d.values[0]) for d in self.search}
        for dimension in self.search:
            for value in dimension.values:
                drawn = value if dimension.is_range else _name(value)
                config = self.config({**start, dimension.key: drawn}, 0)
        if config.selects_on_test:
            raise ValueError(
                "a study needs classes held out: data.validation above 0 and quirks.select as "
                "'corrected'"
            )


@dataclass(frozen=True)
class Study:
    """Experiments and the search for their best settings.

    Attributes:
        source: The file, as a user would write it.
        name: Of its folder and of its result files.
        title: Heading of the report.
        metric: What is maximised.
        trials: For each rival.
        seeds: Each setting is trained with these.
        prune: Whether trials are stopped early.
        sampler_seed: Seed of the choice of settings.
        rivals: By name.
        folder: Where trials and results go.
    """

    source: str
    name: str
    title: str
    metric: str
    trials: int
    seeds: range
    prune: bool
    sampler_seed: int
    rivals: dict[str, Rival]
    folder: Path


def read_study(path: str | Path, trials: int | None = None) -> Study:
    """Read a study and check every value that its trials may have.

    Args:
        path: A YAML file, or the bare name of a packaged one such as `studies/glyphs`.
        trials: How many settings to try for each rival; default as in the file.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If anything in it is wrong.

    >>> study = read_study("studies/glyphs")
    >>> study.metric, list(study.rivals)
    ('map@r', ['npair', 'proxy_anchor', 'gca_hng'])
    """
    found, source, content = read_yaml(path, STUDIES, "study")
    if "data" in content or "cells" in content:
        verb = "train" if "data" in content else "ablate"
        raise ValueError(f"{source} is not a study: give it to gcahng {verb}")
    file = read_section(StudyFile, content, source)
    rivals = {}
    mistakes = Mistakes(max(1, len(file.rivals)), "rival")
    for name, settings in (file.rivals or {found.stem: RivalSettings()}).items():
        with mistakes.of(name):
            rivals[name] = _rival(name, settings, file, found, source)
            rivals[name].check()
    mistakes.report()
    first = next(iter(rivals.values())).config({}, 0)
    return Study(
        source,
        found.stem,
        file.title or found.stem,
        file.metric,
        trials or file.trials,
        range(file.first_seed, file.first_seed + file.seeds),
        file.prune,
        file.sampler_seed,
        rivals,
        Path(first.output) / STUDIES / found.stem,
    )


def _rival(name: str, own: RivalSettings, file: StudyFile, found: Path, source: str) -> Rival:
    search = {**file.search, **own.search}
    if not search:
        raise ValueError(f"{source}: no search: give settings to vary, by dotted path")
    for key in {"name", "seed", "eval.select"} & search.keys():
        raise ValueError(f"{source}: search.{key}: the study sets it itself")
    dimensions = tuple(
        read_dimension(key, value, f"{source}: search.{key}") for key, value in search.items()
    )
    parts = (
        ("settings", file.settings),
        (f"rivals.{name}.settings", own.settings),
        # A run's best epoch is then the one that counts.
        ("metric", {"eval.select": file.metric}),
    )
    return Rival(name, find_base(own.base or file.base, found, source), parts, dimensions, source)
