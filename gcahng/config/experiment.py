"""The configuration of one experiment, and how to read and write it."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError, model_validator

from gcahng.config.errors import broken_rule, explain
from gcahng.config.layers import Layers, load_layers
from gcahng.config.plain_yaml import parse_yaml, to_yaml
from gcahng.config.sections import (
    AtLeast0,
    BatchConfig,
    DataConfig,
    EmbedderConfig,
    EvalConfig,
    FabricConfig,
    GeneratorConfig,
    LossConfig,
    OptimConfig,
    QuirksConfig,
    Section,
    TrainConfig,
)


class ExperimentConfig(Section):
    """Everything that defines one experiment."""

    name: Annotated[str, Field(pattern=r"^[^/\\]+$")]
    """Default: the file's name."""
    seed: AtLeast0 = 0
    output: str = "runs"
    """Run folders go to `<output>/<name>-seed<seed>`."""
    data: DataConfig
    batch: BatchConfig
    embedder: EmbedderConfig
    loss: LossConfig = LossConfig()
    generator: GeneratorConfig | None = GeneratorConfig()
    quirks: QuirksConfig = QuirksConfig()
    optim: OptimConfig
    train: TrainConfig
    eval: EvalConfig = EvalConfig()
    fabric: FabricConfig = FabricConfig()

    @model_validator(mode="after")
    def _heads_share_channels(self) -> "ExperimentConfig":
        heads = self.generator.graph.heads if self.generator else 1
        if self.embedder.dim % heads:
            expected = f"a multiple of generator.graph.heads ({heads})"
            broken_rule(("embedder", "dim"), expected, self.embedder.dim)
        return self

    @property
    def selects_on_test(self) -> bool:
        """Whether the best epoch is chosen on the test split, and so is an optimistic figure."""
        return self.quirks.select == "faithful" or self.data.validation == 0


def load_config(path: str | Path, overrides: Iterable[str] = ()) -> ExperimentConfig:
    """Read an experiment.

    Args:
        path: A YAML file, or the bare name of a packaged experiment such as `quickstart`.
        overrides: `key.path=value` texts, the value written as in YAML.

    Raises:
        FileNotFoundError: If the file or one of its bases is missing.
        ValueError: If anything in it is wrong; one line for each mistake.
    """
    layers, found = load_layers(path, overrides)
    return _validate({"name": found.stem, **layers.values}, layers)


def parse_config(text: str, source: str) -> ExperimentConfig:
    """Read a resolved experiment, as `dump_config` writes it, from text.

    Args:
        text: YAML without a `base`.
        source: Where it stands, for error sentences.

    Raises:
        ValueError: If anything in it is wrong; one line for each mistake.
    """
    layers = Layers(source)
    layers.add(parse_yaml(text, source), source)
    return _validate(layers.values, layers)


def _validate(values: dict[str, Any], layers: Layers) -> ExperimentConfig:
    try:
        return ExperimentConfig.model_validate(values)
    except ValidationError as error:
        message = explain(error, ExperimentConfig, layers.source, layers.origin)
        raise ValueError(message) from None


def dump_config(config: ExperimentConfig) -> str:
    """Return the resolved experiment as YAML; loading that gives an equal config."""
    return to_yaml(config.model_dump())


def differing_keys(one: ExperimentConfig, other: ExperimentConfig) -> list[str]:
    """Return the dotted keys in which two experiments differ, sections that only one has whole."""
    return list(_differing(one.model_dump(), other.model_dump()))


def _differing(one: dict[str, Any], other: dict[str, Any], above: str = "") -> Iterator[str]:
    for key in {**one, **other}:
        left, right = one.get(key), other.get(key)
        if isinstance(left, dict) and isinstance(right, dict):
            yield from _differing(left, right, f"{above}{key}.")
        elif left != right:
            yield f"{above}{key}"


def with_data_root(config: ExperimentConfig, root: str | Path) -> ExperimentConfig:
    """Return the same experiment with its data elsewhere.

    Raises:
        FileNotFoundError: If there is no such folder; embedded data would be made anew in it.
    """
    if not Path(root).is_dir():
        raise FileNotFoundError(f"--root: there is no folder '{root}'")
    data = config.data.model_copy(update={"root": str(root)})
    return config.model_copy(update={"data": data})


def data_root(config: ExperimentConfig) -> Path:
    """Return the folder that holds all data sets."""
    return Path(config.data.root).expanduser() if config.data.root else default_root()


def default_root() -> Path:
    """Return the folder that holds all data sets where nothing else is said."""
    return Path(os.environ.get("GCAHNG_DATA") or "datasets").expanduser()
