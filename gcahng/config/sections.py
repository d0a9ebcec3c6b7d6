"""The sections of an experiment: what there is to set, its defaults and its limits."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from gcahng.config.errors import broken_rule
from gcahng.registry import did_you_mean

AtLeast0 = Annotated[int, Field(ge=0)]
AtLeast1 = Annotated[int, Field(ge=1)]
AtLeast2 = Annotated[int, Field(ge=2)]
Weight = Annotated[float, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(ge=0, lt=1)]
Args = dict[str, Any]
Behaviour = Literal["faithful", "corrected"]
Precision = Literal["32-true", "bf16-mixed", "64-true"]


class Section(BaseModel):
    """A mapping of the YAML: unknown keys, wrong types and later changes are refused."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        validate_default=True,
        allow_inf_nan=False,
        use_attribute_docstrings=True,
    )


class TransformConfig(Section):
    """How images are prepared; a null name leaves it to the data set."""

    name: str | None = None
    train: Args = {}
    test: Args = {}


class DataConfig(Section):
    """Images and labels."""

    name: str
    root: str | None = None
    """Folder of all data sets; null: the environment's GCAHNG_DATA, else `datasets`."""
    args: Args = {}
    validation: Share = 0.2
    """Share of the training classes held out to choose the best epoch on."""
    validation_seed: AtLeast0 = 0
    workers: AtLeast0 = 0
    """Loading processes; their number is part of what the augmentation's draws depend on."""
    transform: TransformConfig = TransformConfig()


class BatchConfig(Section):
    """A batch holds `classes` × `samples` images (S and P of the paper)."""

    classes: AtLeast2
    samples: AtLeast2


class ComponentConfig(Section):
    """Something found by name in a registry, with the arguments it is built with."""

    name: str
    args: Args = {}


class WarmStartConfig(Section):
    """Train the embedder as a classifier on the data set's `pre` classes first."""

    steps: AtLeast1 = 500


class EmbedderConfig(Section):
    """Image → embedding."""

    backbone: ComponentConfig
    dim: AtLeast1
    normalize: bool = False
    freeze: list[Literal["bn", "bn_affine", "patch"]] = []
    """`bn` keeps BatchNorm statistics, `bn_affine` its weights and biases; `patch`: ViT patches."""
    init: Literal["default", "orthogonal"] = "default"
    """How the final linear layer starts."""
    warm_start: WarmStartConfig | None = None


class LossConfig(Section):
    """The metric loss; one with parameters of its own trains them at `lr`."""

    name: str = "npair"
    args: Args = {}
    lr: Positive | None = None
    """Null: the embedder's."""


class GraphConfig(Section):
    """The network on the batch graph."""

    conv: str = "gca"
    """A layer of `gcahng.graph.CONVS`, or `module.path:ClassName` for one of your own."""
    layers: AtLeast0 | list[str | ComponentConfig] = 2
    """How many of `conv`, or the layers one by one, by name or as {name, args}."""
    heads: AtLeast1 = 4
    path: Literal["dense", "sparse"] = "dense"
    """Dense uses the symmetry of the edges; sparse is the readable message passing."""
    dropout: Literal["tied", "independent", "off"] = "tied"
    """Whether edges i → j and j → i lose the same attention weights."""
    dropout_rate: Share = 0.1
    memory: Literal["auto", "low", "balanced"] = "auto"
    """What the dense path keeps for backward: low recomputes more of it; auto goes by its size."""


class GeneratorConfig(Section):
    """The source of hard negatives and the weights of its losses, each used where it has a use."""

    name: str = "gca_hng"
    args: Args = {}
    """Further arguments of this very generator."""
    graph: GraphConfig = GraphConfig()
    alpha: Weight = 5.0
    """How quickly negatives harden as the metric loss falls."""
    beta: Weight | None = 20.0
    """How quickly negatives gain weight as the generator's loss falls; null: all from the start."""
    gamma: Weight = 20.0
    """Weight of the cross entropy that keeps a negative in its own class."""
    similarity_weight: Weight = 20.0
    diversity_weight: Weight = 60.0
    node_ce_weight: Weight = 1.0
    """Weight, in the metric step, of the cross entropy of the graph's node logits."""
    synthetic_weight: Weight = 1.0
    """Weight, in the metric step, of the loss on synthetic negatives."""


class QuirksConfig(Section):
    """Where the published implementation departs from the paper; one word sets all.

    Attention dropout of its own for i → j and j → i is published too: generator.graph.dropout.
    """

    similarity_mask: Behaviour = "corrected"
    """Similarity term, faithful: zeroed at misplaced entries; corrected: where b = a."""
    same_class_negatives: Behaviour = "corrected"
    """Generator's cross entropy, faithful: keeps the b = a "negatives"; corrected: drops them."""
    clip: Behaviour = "corrected"
    """Gradients are clipped, faithful: by value; corrected: by norm."""
    edge_heads: Behaviour = "corrected"
    """Edge attention, faithful: always single-headed; corrected: with `generator.graph.heads`."""
    bn_affine: Behaviour = "corrected"
    """What freeze: [bn_affine] fixes, faithful: thaws after the warm-up; corrected: does not."""
    evaluation: Behaviour = "corrected"
    """A query's own hit, faithful: whatever ranks first; corrected: the query itself."""
    select: Behaviour = "corrected"
    """The best epoch is chosen, faithful: on the test split; corrected: on validation classes."""

    @model_validator(mode="before")
    @classmethod
    def _spread(cls, value: Any) -> Any:
        if isinstance(value, dict | cls):
            return value
        if value in ("faithful", "corrected"):
            return dict.fromkeys(cls.model_fields, value)
        hint = did_you_mean(str(value), ("faithful", "corrected"))
        broken_rule((), "'faithful', 'corrected' or a mapping of single quirks", value, hint)


class ScheduleConfig(Section):
    """Learning rate over the epochs: `gamma` and `every` belong to step, `gamma` to exponential."""

    name: Literal["constant", "step", "cosine", "exponential"] = "constant"
    gamma: Annotated[float, Field(gt=0, le=1)] = 0.5
    every: AtLeast1 = 20


class EmbedderOptimConfig(Section):
    """AdamW of the embedder; its final linear layer runs at `fc_lr_ratio` times the rate."""

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
    """AdamW of the linear classifier that judges synthetic negatives."""

    lr: Positive = 1e-3
    weight_decay: Weight = 0.01
    schedule: ScheduleConfig = ScheduleConfig()


class OptimConfig(Section):
    """The three optimizers."""

    embedder: EmbedderOptimConfig
    graph: GraphOptimConfig = GraphOptimConfig()
    classifier: ClassifierOptimConfig = ClassifierOptimConfig()
    clip: Positive | None = 10.0
    """Limit on the gradients of embedder and graph; by value or norm, see `quirks.clip`."""


class TrainConfig(Section):
    """How long to train, and what to keep."""

    epochs: AtLeast1
    warmup_epochs: AtLeast0 = 0
    """First epochs with a frozen backbone."""
    max_seconds: Positive | None = None
    """Stop after the epoch in which this much time has passed."""
    keep_every: AtLeast1 | None = None
    """Also keep every n-th epoch's checkpoint."""

    @model_validator(mode="after")
    def _warmup_ends(self) -> "TrainConfig":
        if self.warmup_epochs >= self.epochs:
            expected = f"fewer than train.epochs ({self.epochs})"
            broken_rule(("warmup_epochs",), expected, self.warmup_epochs)
        return self


class EvalConfig(Section):
    """Retrieval metrics."""

    ks: Annotated[list[AtLeast1], Field(min_length=1)] = [1, 2, 4, 8]
    every: AtLeast1 = 1
    engine: Literal["torch", "faiss"] = "torch"
    select: str = "recall@1"
    """The metric that picks the best epoch."""

    @model_validator(mode="after")
    def _select_is_measured(self) -> "EvalConfig":
        measured = [*(f"recall@{k}" for k in self.ks), "map@r", "r_precision"]
        if self.select not in measured:
            hint = did_you_mean(self.select, measured)
            broken_rule(("select",), f"one of {', '.join(measured)}", self.select, hint)
        return self


class FabricConfig(Section):
    """Where and in which number format to run; the words are Lightning Fabric's."""

    accelerator: str = "auto"
    devices: int | str | list[int] = 1
    num_nodes: AtLeast1 = 1
    strategy: str = "auto"
    precision: Precision = "32-true"
    """Losses, norms and distances stay in 32 bits under bf16-mixed."""
    threads: AtLeast1 | None = None
    """Processor threads of PyTorch; small networks run faster on 1. Null leaves it to PyTorch."""
    compile: bool = False
    channels_last: bool = False
