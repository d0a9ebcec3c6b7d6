"""A study: which experiments are tuned, over which settings, with how many trials each."""

import json
from collections.abc import Mapping
from contextlib import nullcontext
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
from gcahng.config.layers import STUDIES
from gcahng.config.sections import MOST_SEEDS, Args, AtLeast1, Section
from gcahng.errors import show
from gcahng.files import file_name
from gcahng.studies.experiments import (
    SharedKeys,
    check_held_out,
    complete,
    find_base,
    merge_settings,
    named_errors,
    read_file,
)


class RivalSettings(Section):
    """One of several experiments that are tuned with the same number of trials."""

    base: str | None = None
    """The experiment; null: that of the study."""
    settings: Args = Field(default_factory=dict)
    """Settings of its trials."""
    search: Args = Field(default_factory=dict)
    """Settings that only this one varies."""


class StudyFile(SharedKeys):
    """The keys of a study's file."""

    metric: str = "map@r"
    """What is maximised: a retrieval figure on the validation classes, of the best epoch."""
    trials: AtLeast1 = 20
    """How many settings are tried, for each of the rivals."""
    seeds: Annotated[int, Field(ge=1, le=MOST_SEEDS)] = 1
    """How many seeds each setting is trained with; their mean counts."""
    prune: bool = True
    """Whether to stop a trial whose figure is below the median of the earlier ones."""
    search: Args = Field(default_factory=dict)
    """By dotted path, a list of choices, or `{low, high}` with `log: true` for magnitudes."""
    rivals: dict[str, RivalSettings] = Field(default_factory=dict)
    """Experiments to compare, each tuned with `trials` trials; none: the base alone."""


@dataclass(frozen=True)
class Dimension:
    """A setting that a study varies: its choices by what Optuna calls them, or both ends."""

    key: str
    values: Mapping[Any, Any]
    distribution: BaseDistribution

    def value(self, drawn: Any) -> Any:
        """Return the setting for what Optuna has drawn."""
        return self.values.get(drawn, drawn)

    def __str__(self) -> str:
        if isinstance(self.distribution, IntDistribution | FloatDistribution):
            low, high = self.distribution.low, self.distribution.high
            log = ", by orders of magnitude" if self.distribution.log else ""
            return f"{self.key}: {low} to {high}{log}"
        return f"{self.key}: {', '.join(map(str, self.values))}"


def read_dimension(key: str, value: Any, place: str) -> Dimension:
    """Read a list of choices, or a mapping with `low`, `high` and maybe `log`."""
    try:
        if isinstance(value, dict):
            ends = value["low"], value["high"]
            integers = all(isinstance(end, int) for end in ends)
            kind = IntDistribution if integers else FloatDistribution
            drawn = kind(**value)
            if drawn.single():
                raise ValueError("low is not below high")
            return Dimension(key, {end: end for end in ends}, drawn)
        # Optuna knows lists and mappings as text.
        named = {json.dumps(v) if isinstance(v, list | dict) else v: v for v in value}
        if isinstance(value, str) or len(named) < max(2, len(value)):
            raise ValueError("there are no two, or two that are alike")
        return Dimension(key, named, CategoricalDistribution(list(named)))
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"{place}: expected a list of different choices, or {{low, high}} with low below high "
            f"and maybe log: true, got {show(value)} ({error})"
        ) from None


@dataclass(frozen=True)
class Rival:
    """One experiment that is tuned: a base, and settings to merge with their places."""

    name: str
    base: Path
    parts: tuple[tuple[str, Args], ...]
    search: tuple[Dimension, ...]
    source: str

    def config(self, drawn: Mapping[str, Any], seed: int) -> ExperimentConfig:
        """Return the experiment with drawn values, by dotted path."""
        values = {d.key: d.value(drawn[d.key]) for d in self.search if d.key in drawn}
        parts = (*self.parts, ("search", values))
        return complete(merge_settings(self.base, parts, self.name, seed, self.source))

    def check(self) -> None:
        """Try each end of a range and each choice with the first ones of all others."""
        start = {d.key: next(iter(d.values)) for d in self.search}
        for dimension in self.search:
            for drawn in dimension.values:
                check_held_out(self.config({**start, dimension.key: drawn}, 0), "a study")


@dataclass(frozen=True)
class Study:
    """Experiments, and the search for their best settings with `trials` for each."""

    source: str
    name: str
    file: StudyFile
    trials: int
    rivals: dict[str, Rival]
    folder: Path

    @property
    def title(self) -> str:
        """Heading of the report."""
        return self.file.title or self.name

    def trial_folder(self, rival: str, number: int) -> Path:
        """Return where the run folder of each seed of a trial is."""
        return self.folder / "trials" / f"{file_name(rival)}-{number:04d}"

    @property
    def seeds(self) -> range:
        """Each setting is trained with these."""
        return range(self.file.first_seed, self.file.first_seed + self.file.seeds)


def read_study(path: str | Path, trials: int | None = None) -> Study:
    """Read a study, a file or a packaged one, and check every value that its trials may have.

    >>> study = read_study("studies/glyphs")
    >>> study.file.metric, list(study.rivals)
    ('map@r', ['npair', 'proxy_anchor', 'gca_hng'])
    """
    found, source, file = read_file(path, STUDIES, "study", StudyFile)
    rivals: dict[str, Rival] = {}
    for name, settings in (file.rivals or {found.stem: RivalSettings()}).items():
        if file_name(name) in map(file_name, rivals):
            raise ValueError(f"{source}: two rivals are called {name!r} in files: rename one")
        with named_errors(f"rival {name!r}") if file.rivals else nullcontext():
            rivals[name] = _rival(name, settings, file, found, source)
            rivals[name].check()
    output = next(iter(rivals.values())).config({}, 0).output
    folder = Path(output) / STUDIES / found.stem
    return Study(source, found.stem, file, trials or file.trials, rivals, folder)


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
