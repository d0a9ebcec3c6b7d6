"""A study: which experiments are tuned, over which settings, with how many trials each."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from gcahng.ablation.grid import Mistakes, check_parts, find_base, shown_path
from gcahng.ablation.grid_file import nested
from gcahng.builders.image_settings import adopt_image_settings
from gcahng.config import ExperimentConfig
from gcahng.config.layers import (
    EXPERIMENTS,
    STUDIES,
    Layers,
    find_config,
    load_layers,
    parse_mapping,
    read_text,
    validate,
)
from gcahng.config.sections import MOST_SEEDS, Args, AtLeast1, Section, Seed
from gcahng.errors import did_you_mean
from gcahng.tuning.dimension import Dimension, read_dimension


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
class Rival:
    """One experiment that is tuned.

    Attributes:
        name: In tables, and of its files.
        base: Its file.
        layers: Settings to merge into it, each with its place in the study's file.
        search: What is varied.
        source: The study's file.
    """

    name: str
    base: Path
    layers: tuple[tuple[str, Args], ...]
    search: tuple[Dimension, ...]
    source: str

    def config(self, drawn: Mapping[str, Any], seed: int) -> ExperimentConfig:
        """The experiment with drawn values, by dotted path.

        Raises:
            ValueError: If it is wrong in any way.
        """
        layers, _ = load_layers(self.base)
        values = {d.key: d.value(drawn[d.key]) for d in self.search if d.key in drawn}
        for place, settings in (*self.layers, ("search", values)):
            layers.add(nested(settings, layers.values, f"{self.source}: {place}"), place)
        layers.add({"name": self.name, "seed": seed}, self.source)
        config = validate(ExperimentConfig, layers)
        check_parts(config)
        return adopt_image_settings(config)

    def check(self) -> None:
        """Raise if an end of a range, or a choice, is refused where all others have their first."""
        start = {d.key: d.distribution.to_external_repr(0.0) for d in self.search}
        start |= {d.key: d.values[0] for d in self.search if d.is_range}
        for dimension in self.search:
            for value in dimension.values:
                drawn = value if dimension.is_range else _drawn(dimension, value)
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
    found = _find(path)
    source = shown_path(found)
    content = parse_mapping(read_text(found, source), source)
    if "data" in content or "cells" in content:
        verb = "train" if "data" in content else "ablate"
        raise ValueError(f"{source} is not a study: give it to gcahng {verb}")
    layers = Layers(source)
    layers.add(content, source)
    file = validate(StudyFile, layers)
    rivals = {}
    mistakes = Mistakes(max(1, len(file.rivals)), "rival")
    for name, settings in (file.rivals or {found.stem: RivalSettings()}).items():
        with mistakes.of(name):
            rivals[name] = _rival(name, settings, file, found, source)
            rivals[name].check()
    mistakes.report()
    first = next(iter(rivals.values())).config({}, 0)
    folder = Path(first.output) / STUDIES / found.stem
    seeds = range(file.first_seed, file.first_seed + file.seeds)
    title = file.title or found.stem
    return Study(
        source,
        found.stem,
        title,
        file.metric,
        trials or file.trials,
        seeds,
        file.prune,
        file.sampler_seed,
        rivals,
        folder,
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
    layers = (
        ("settings", {**file.settings}),
        (f"rivals.{name}.settings", {**own.settings}),
        # A run's best epoch is then the one that counts.
        ("metric", {"eval.select": file.metric}),
    )
    return Rival(name, find_base(own.base or file.base, found, source), layers, dimensions, source)


def _drawn(dimension: Dimension, value: Any) -> Any:
    index = dimension.values.index(value)
    return dimension.distribution.to_external_repr(float(index))


def _find(path: str | Path) -> Path:
    try:
        return find_config(path)
    except FileNotFoundError:
        found = sorted((EXPERIMENTS / STUDIES).glob("*.yaml"))
        packaged = [f"{STUDIES}/{file.stem}" for file in found]
        hint = did_you_mean(str(path), packaged)
        raise FileNotFoundError(
            f"no study file {str(path)!r}{hint}; packaged: {', '.join(packaged)}"
        ) from None
