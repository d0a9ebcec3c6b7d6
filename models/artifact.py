"""An embedder as a folder: its weights as safetensors, and what else it consists of as JSON."""

import importlib.metadata
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from gcahng.files import atomic_write, write_text
from gcahng.models.backbones import build_backbone
from gcahng.models.embedder import Embedder
from gcahng.models.weights import listed, load_strictly, read_weights
from gcahng.preparation import Preparation

WEIGHTS = "model.safetensors"
SETTINGS = "config.json"
# Of `config.json`, and of what checkpoints say about their embedder.
LAYOUT = 3
# The beginning of a path that may tell something about this machine or its user.
PRIVATE = re.compile(r"[/~\\]|\.\.[/\\]|file:|[A-Za-z]:[/\\]")


def library_version(library: str) -> str | None:
    """Return the installed version of a library; None if it is not installed."""
    try:
        return importlib.metadata.version(library)
    except importlib.metadata.PackageNotFoundError:
        return None


@dataclass(frozen=True)
class EmbedderSpec:
    """What an embedder consists of besides its weights.

    Attributes:
        name: Of its experiment, or of the backbone.
        backbone: Name of the backbone, see `build_backbone`.
        args: Arguments of the backbone.
        head: The last layer, see `Embedder`.
        dim: Embedding dimension; None: the width of the features.
        normalize: Whether embeddings have L2 norm 1.
        preparation: What is done to an image before.
    """

    name: str
    backbone: str
    args: Mapping[str, Any]
    head: str
    dim: int | None
    normalize: bool
    preparation: Preparation

    def build(self) -> Embedder:
        """Build the embedder with random weights, in evaluation mode."""
        backbone = build_backbone(self.backbone, untrained=True, **self.args)
        return Embedder(backbone, self.dim, self.normalize, head=self.head).eval()

    def load(self, weights: Mapping[str, Tensor], path: Path) -> Embedder:
        """Build the embedder with the weights of a file; a ValueError if they do not fit."""
        try:
            embedder = self.build()
        # The libraries use some arguments as keys or attribute names without checking them.
        except (ValueError, TypeError, AttributeError, LookupError) as error:
            raise ValueError(f"'{path}': its embedder cannot be built: {error}") from error
        fill_module(embedder, weights, path, "embedder")
        return embedder

    def whitened(self, dim: int) -> "EmbedderSpec":
        """Describe the same embedder with a `WhiteningHead` of dimension `dim`."""
        return replace(self, head="whitening", dim=dim)

    def to_dict(self) -> dict[str, Any]:
        """Describe the embedder for a file."""
        return {**vars(self), "args": dict(self.args), "preparation": self.preparation.to_dict()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "EmbedderSpec":
        """Read what `to_dict` described; a KeyError or TypeError if it is something else."""
        preparation = Preparation.from_dict(values["preparation"])
        return cls(**{**values, "args": dict(**values["args"]), "preparation": preparation})

    def public(self) -> "EmbedderSpec":
        """Describe the embedder without the folders of this machine."""
        return replace(self, args=without_folders(dict(self.args)))


def fill_module(module: nn.Module, weights: Mapping[str, Tensor], path: Path, what: str) -> None:
    """Fill a module with the weights of a file; a ValueError unless it has just its keys."""
    what = f"the {what} of its configuration"
    if unused := load_strictly(module, weights, path, what):
        raise ValueError(f"'{path}' does not fit {what}, which has no {listed(unused)}")


def without_folders(value: Any) -> Any:
    """Keep only the last part of each absolute path in nested settings."""
    if isinstance(value, dict):
        return {key: without_folders(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [without_folders(item) for item in value]
    if isinstance(value, str) and PRIVATE.match(value):
        return PurePosixPath(value.replace("\\", "/")).name
    return value


def write_artifact(
    folder: Path,
    embedder: nn.Module,
    spec: EmbedderSpec,
    experiment: Mapping[str, Any] | None = None,
    figures: Mapping[str, Any] | None = None,
) -> None:
    """Write an embedder, the settings of its training and what was measured into a folder."""
    with atomic_write(folder / WEIGHTS) as temporary:
        # Copies, since safetensors stores no two names of one tensor, as tied weights have.
        kept = torch.contiguous_format
        state = {k: v.detach().clone(memory_format=kept) for k, v in embedder.state_dict().items()}
        save_file(state, temporary, metadata={"format": "pt"})
    facts = {
        "layout": LAYOUT,
        "gcahng": library_version("gcahng"),
        "model": spec.to_dict(),
        "figures": figures,
        "experiment": experiment,
    }
    write_text(folder / SETTINGS, json.dumps(facts, indent=2) + "\n")


class Artifact(NamedTuple):
    """A shared embedder: what it consists of, its weights, its training's settings and figures."""

    spec: EmbedderSpec
    weights: dict[str, Tensor]
    experiment: Mapping[str, Any] | None
    figures: Mapping[str, Any] | None


def read_artifact(path: Path) -> Artifact:
    """Read a shared embedder, `model.safetensors` with `config.json` beside it."""
    settings = path.with_name(SETTINGS)
    for file in (path, settings):
        if not file.is_file():
            raise FileNotFoundError(f"no shared model at '{path}': '{file}' is missing")
    try:
        facts = json.loads(settings.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"'{settings}' is damaged: it is not JSON ({error})") from error
    layout = facts.get("layout") if isinstance(facts, dict) else None
    if layout != LAYOUT:
        raise ValueError(
            f"'{settings}' is not of a model that this version of gcahng opens (layout {layout}, "
            f"expected {LAYOUT}): share the model again with this version"
        )
    try:
        spec = EmbedderSpec.from_dict(facts["model"])
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"'{settings}' does not describe an embedder: {error}") from error
    return Artifact(spec, read_weights(path), facts.get("experiment"), facts.get("figures"))
