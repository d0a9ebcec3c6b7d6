"""The schema of an experiment: all its sections together."""

from typing import Annotated

from pydantic import Field, model_validator

from gcahng.config.errors import broken_rule
from gcahng.config.sections import (
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
    Seed,
)
from gcahng.config.training import TrainConfig


class ExperimentConfig(Section):
    """The complete configuration of an experiment.

    Example:
        >>> from gcahng.config import load_config
        >>> config = load_config("quickstart")
        >>> config.batch.classes, config.batch.samples, config.generator.name
        (8, 2, 'gca_hng')
    """

    name: Annotated[str, Field(pattern=r"^[^/\\]+$")]
    """Default: the file's name without suffix."""
    seed: Seed = 0
    output: str = "runs"
    """The run folder is `<output>/<name>-seed<seed>`."""
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
    def _check_dimension_is_known(self) -> "ExperimentConfig":
        head, trains = self.embedder.head, self.train.epochs > 0 or self.generator is not None
        if self.embedder.finish and self.train.epochs == 0:
            expected = "null, since nothing is trained: see embedder.head=whitening"
            broken_rule(("embedder", "finish"), expected, self.embedder.finish)
        if head == "none" and trains:
            expected = "another one, since none is for train.epochs=0 and generator=null"
            broken_rule(("embedder", "head"), expected, head)
        if self.embedder.dim is None and (trains or head not in ("none", "whitening")):
            expected = (
                "a number, since only embedder.head=whitening or none with train.epochs=0 and "
                "generator=null chooses it"
            )
            broken_rule(("embedder", "dim"), expected, None)
        return self

    @property
    def selects_on_test(self) -> bool:
        """Whether the best epoch is selected on the test split, which biases the metrics."""
        return self.quirks.select == "faithful" or self.data.validation == 0
