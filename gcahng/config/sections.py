"""The settings of an experiment with their defaults and limits, section by section."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator
from typing_extensions import Self

from gcahng.arguments import AtLeast0, AtLeast1, AtLeast2, Positive, Weight
from gcahng.errors import broken_rule, did_you_mean

# What numpy and torch both accept.
Seed = Annotated[int, Field(ge=0, le=2**32 - 1)]
# The most seeds of a grid, which lists all its runs before the first one starts.
MOST_SEEDS = 1000
Fraction = Annotated[float, Field(ge=0, lt=1)]
Args = dict[str, Any]
Behaviour = Literal["faithful", "corrected"]
Precision = Literal["32-true", "bf16-mixed", "64-true"]


class Section(BaseModel):
    """A mapping in the YAML file; immutable, and strict about unknown keys and types."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        validate_default=True,
        allow_inf_nan=False,
        use_attribute_docstrings=True,
    )

    def changed(self, **settings: Any) -> Self:
        """Return a copy with other settings; a mapping changes some of a section."""
        for key, value in settings.items():
            section = getattr(self, key)
            if isinstance(section, Section) and isinstance(value, dict):
                settings[key] = section.changed(**value)
        return self.model_copy(update=settings)


class TransformConfig(Section):
    """Image preprocessing."""

    name: str | None = None
    """Null: the data set's default transform; `library`: the one with which timm or torchvision
    evaluates the backbone, also for training, so without augmentation."""
    train: Args = {}
    test: Args = {}


class DataConfig(Section):
    """Images and labels."""

    name: str
    """A data set of `gcahng.data.DATASETS`, or `module.path:ClassName` for one of your own."""
    root: str | None = None
    """Folder of all data sets; null: the environment variable GCAHNG_DATA, else `datasets`."""
    args: Args = {}
    validation: Fraction = 0.2
    """Fraction of the training classes held out to select the best epoch."""
    validation_seed: AtLeast0 = 0
    workers: Annotated[int, Field(ge=0, le=512)] = 0
    """Data loading processes; the result does not depend on their number."""
    views: AtLeast1 = 4
    """Augmented views of each training image that a frozen backbone embeds once."""
    transform: TransformConfig = TransformConfig()


class BatchConfig(Section):
    """A batch has `classes` × `samples` images (S and P in the paper)."""

    classes: AtLeast2
    samples: Annotated[int, Field(ge=2, le=10_000)]
    chunk: AtLeast1 | None = None
    """The most images that the backbone takes at a time, for batches that do not fit the device;
    the backbone then runs twice. Null: the whole batch. The graph is always that of the batch."""


class ComponentConfig(Section):
    """A registered component and its arguments."""

    name: str
    args: Args = {}


class WarmStartConfig(Section):
    """First train the embedder as a classifier on the data set's `warm_start` split."""

    steps: AtLeast2 = 500


class EmbedderConfig(Section):
    """Image → embedding."""

    backbone: ComponentConfig
    dim: Annotated[int, Field(ge=1, le=65_536)] | None
    """Embedding dimension; null: that of the features for head none, and a whitening head that is
    not trained chooses it itself."""
    normalize: bool = False
    freeze: list[Literal["backbone", "bn", "bn_affine", "patch"]] = []
    """`bn`: BatchNorm statistics; `bn_affine`: its weights and biases; `patch`: ViT patches;
    `backbone`: all of it, so that its features are computed once and kept."""
    head: Literal["linear", "none", "residual", "whitening"] = "linear"
    """The last layer; none: the features are the embeddings, and nothing is trained; residual:
    starts at the backbone's own similarity (`ResidualHead`); whitening: starts in closed form
    (`WhiteningHead`), best where nothing else is trained."""
    init: Literal["default", "orthogonal"] = "default"
    """Initialisation of the linear head."""
    finish: Literal["whitening"] | None = None
    """Replace the trained last layer by a `WhiteningHead` on the tuned features, whose dimension is
    chosen on the validation classes; epochs are compared with it."""
    warm_start: WarmStartConfig | None = None


class LossConfig(ComponentConfig):
    """The metric loss; trainable parameters of the loss, such as proxies, use `lr`."""

    name: str = "npair"
    lr: Positive | None = None
    """Null: the embedder's learning rate."""


class GeneratorConfig(ComponentConfig):
    """The generator of hard negatives."""

    name: str = "gca_hng"
    """A key of `gcahng.generators.GENERATORS`, or `module.path:ClassName` for one of your own."""


class QuirksConfig(Section):
    """Where the published code differs from the paper; a single word sets all entries.

    One more difference is set by `generator.args.graph.edge_dropout`: the published code draws
    separate attention dropout for i → j and j → i (`independent`).
    """

    similarity_mask: Behaviour = "corrected"
    """Similarity term, faithful: zeroed at wrong entries; corrected: zeroed where b = a."""
    same_class_negatives: Behaviour = "corrected"
    """Generator's cross entropy, faithful: includes b = a; corrected: excludes it."""
    clip: Behaviour = "corrected"
    """Gradient clipping, faithful: by value; corrected: by norm."""
    edge_heads: Behaviour = "corrected"
    """Edge attention, faithful: always one head; corrected: as many as the nodes'."""
    bn_affine: Behaviour = "corrected"
    """Freezing by `bn_affine`, faithful: ends after the warm-up; corrected: is permanent."""
    evaluation: Behaviour = "corrected"
    """Removed from a query's ranking, faithful: the first item; corrected: the query itself."""
    select: Behaviour = "corrected"
    """Best epoch selected, faithful: on the test split; corrected: on validation classes."""
    sampling: Behaviour = "corrected"
    """Order of a class's images, faithful: as `PublishedBatchSampler`, whose shuffles go on from
    epoch to epoch and drop what is left; corrected: shuffled anew each epoch, nothing dropped."""

    @model_validator(mode="before")
    @classmethod
    def _expand_single_word(cls, value: Any) -> Any:
        value = each_quirk(value)
        if isinstance(value, dict | cls):
            return value
        hint = did_you_mean(str(value), ("faithful", "corrected"))
        broken_rule((), "'faithful', 'corrected' or a mapping of single quirks", value, hint)


def each_quirk(value: Any) -> Any:
    """Return the mapping that a single word for all quirks stands for; other values unchanged."""
    if value in ("faithful", "corrected"):
        return dict.fromkeys(QuirksConfig.model_fields, value)
    return value


class ScheduleConfig(Section):
    """Learning rate schedule over epochs; step uses `gamma` and `every`."""

    name: Literal["constant", "step", "cosine"] = "constant"
    gamma: Annotated[float, Field(gt=0, le=1)] = 0.5
    every: AtLeast1 = 20


class EmbedderOptimConfig(Section):
    """AdamW of the embedder; the final linear layer's rate is multiplied by `fc_lr_ratio`."""

    lr: Positive
    weight_decay: Weight = 1e-4
    fc_lr_ratio: Positive = 1.0
    schedule: ScheduleConfig = ScheduleConfig()


class GraphOptimConfig(Section):
    """AdamW of the graph network."""

    lr: Positive = 1.5e-4
    weight_decay: Weight = 1e-4
    schedule: ScheduleConfig = ScheduleConfig(name="cosine")


class ClassifierOptimConfig(Section):
    """AdamW of the linear classifier of synthetic negatives."""

    lr: Positive = 1e-3
    weight_decay: Weight = 0.01
    schedule: ScheduleConfig = ScheduleConfig()


class OptimConfig(Section):
    """The three optimizers."""

    embedder: EmbedderOptimConfig
    graph: GraphOptimConfig = GraphOptimConfig()
    classifier: ClassifierOptimConfig = ClassifierOptimConfig()
    clip: Positive | None = 10.0
    """Gradient clipping of embedder and graph, by norm or value (see `quirks.clip`)."""


class EvalConfig(Section):
    """Retrieval metrics."""

    ks: Annotated[list[AtLeast1], Field(min_length=1)] = [1, 2, 4, 8]
    every: AtLeast1 = 1
    engine: Literal["torch", "faiss"] = "torch"
    select: str = "map@r"
    """The metric that selects the best epoch."""
    zero_shot: bool = True
    """Whether to measure the network before training: what a run should improve on, and epoch 0,
    which is kept if no later epoch is better."""

    @model_validator(mode="after")
    def _check_select_is_measured(self) -> "EvalConfig":
        measured = [*(f"recall@{k}" for k in self.ks), "map@r", "r_precision"]
        if self.select not in measured:
            hint = did_you_mean(self.select, measured)
            broken_rule(("select",), f"one of {', '.join(measured)}", self.select, hint)
        return self


class FabricConfig(Section):
    """Hardware and precision, with the names of Lightning Fabric."""

    accelerator: str = "auto"
    devices: int | str | list[int] = 1
    precision: Precision = "32-true"
    """With bf16-mixed, losses, norms and distances are still computed in float32."""
    threads: Annotated[int, Field(ge=1, le=1024)] | None = None
    """CPU threads of PyTorch, null: PyTorch's default; small networks run faster with 1."""
    deterministic: bool = False
    """Deterministic algorithms on a GPU, slower: the same seed, or a resumed run, then gives
    exactly the same result there. On a CPU it always does."""
    channels_last: bool = False
    compile: bool = False
    """Compile the passes of gca_hng with torch.compile: a third of the launches on a GPU, after one
    to two minutes at the first step."""
    cuda_graphs: bool = False
    """Replay the passes of gca_hng as CUDA graphs: faster, since many small kernels need no launch
    of their own."""


LoggerName = Literal["tensorboard", "csv", "wandb"]


class LoggerConfig(Section):
    """A logger and its arguments: `wandb` takes those of `wandb.init`, such as `project`."""

    name: LoggerName
    args: Args = Field(default={})


class TrainConfig(Section):
    """Training duration and checkpoints."""

    epochs: AtLeast0
    """0: nothing is trained; the network is measured as it starts, and kept."""
    warmup_epochs: AtLeast0 = 0
    """Number of initial epochs with a frozen backbone."""
    max_seconds: Positive | None = None
    """Stop after the epoch in which training has taken this long: CPU time on a CPU."""
    save_minutes: Positive | None = 10.0
    """Save within an epoch as well, after so many minutes; null: after whole epochs only."""
    patience: AtLeast1 | None = None
    """Stop after so many evaluations in a row without a better value of `eval.select`."""
    loggers: list[LoggerName | LoggerConfig] = Field(default=["tensorboard"])
    """Where figures go beside `metrics.csv` (`csv`), which every run has: each a name or
    {name, args}; `wandb` is an extra."""

    @model_validator(mode="after")
    def _check_settings_agree(self) -> "TrainConfig":
        names = [one if isinstance(one, str) else one.name for one in self.loggers]
        if len(set(names)) < len(names):
            broken_rule(("loggers",), "each logger once", names)
        if self.warmup_epochs >= max(self.epochs, 1):
            expected = f"fewer than train.epochs ({self.epochs})"
            broken_rule(("warmup_epochs",), expected, self.warmup_epochs)
        return self


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
        if self.embedder.finish and (self.train.epochs == 0 or "backbone" in self.embedder.freeze):
            expected = "null, since no features are trained: see embedder.head=whitening"
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
