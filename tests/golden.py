"""Golden files: figures recorded from the published implementation, found by their content."""

import json
import os
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from torch import Tensor, nn

from gcahng import HardNegativeGenerator
from gcahng.models.embedder import Embedder
from gcahng.models.published import PublishedState, split_published_state


def golden_folders() -> list[Path]:
    """The folder beside the tests and, if it is set, the one in GCAHNG_GOLDENS."""
    folders = [Path(__file__).parent / "goldens"]
    if os.environ.get("GCAHNG_GOLDENS"):
        folders.append(Path(os.environ["GCAHNG_GOLDENS"]))
    return folders


def method_golden_files(key: str = "component.embeddings") -> list[Any]:
    """Every file that holds `key`, by default a recorded training, as pytest parameters."""
    files = []
    for folder in golden_folders():
        for path in sorted(folder.glob("*.safetensors")):
            with safe_open(path, "pt") as file:
                recorded = "meta" in (file.metadata() or {})
                if recorded and key in file.keys():  # noqa: SIM118
                    files.append(pytest.param(path, id=f"{folder.name}/{path.stem}"))
    return files


@dataclass(frozen=True)
class Golden:
    """One recorded training: settings and tensors (float64)."""

    meta: dict[str, Any]
    tensors: dict[str, Tensor]

    def __getitem__(self, key: str) -> Tensor:
        return self.tensors[key]

    def published(self, prefix: str) -> PublishedState:
        """The recorded state dict under `prefix`, under this project's names."""
        return split_published_state(
            {k[len(prefix) :]: v.clone() for k, v in self.tensors.items() if k.startswith(prefix)}
        )

    @cached_property
    def fold_shape(self) -> tuple[int, int]:
        """Shape of one pass's folding scalars."""
        samples = self.meta["samples_per_class"]
        return samples, samples - 1

    def draws(self) -> Tensor:
        """Folding scalars of all steps: [steps, 2 passes, P, P-1]."""
        return self["steps.mix_draws"].view(-1, 2, *self.fold_shape)

    def generator(self, path: str = "dense") -> HardNegativeGenerator:
        """The recorded generator with its initial weights, quirks as published."""
        meta = self.meta
        generator = HardNegativeGenerator(
            meta["embedding_dim"],
            meta["num_classes"],
            graph={
                "layers": meta["layers"],
                "heads": meta["heads"],
                "edge_dropout": "off",
                "path": path,
            },
            alpha=meta["alpha"],
            beta=meta["beta"],
            weights={
                "gamma": meta["softmax_factor"],
                "similarity": meta["dot_weight"],
                "diversity": meta["div_weight"],
            },
            quirks=("similarity_mask", "same_class_negatives", "edge_heads"),
        ).double()
        state = self.published("init.")
        generator.graph.load_state_dict(state.graph)
        generator.classifier.load_state_dict(state.classifier)
        return generator

    def embedder(self) -> Embedder:
        """The toy embedder of the recorded steps, with its initial weights."""
        state = self.published("init.").embedder
        width, inputs = state["backbone.lin.weight"].shape
        embedder = Embedder(ToyBackbone(inputs, width), self.meta["embedding_dim"]).double()
        embedder.load_state_dict(state)
        return embedder


class ToyBackbone(nn.Module):
    """tanh(Linear), the backbone of the recorded steps."""

    def __init__(self, inputs: int, out_channels: int) -> None:
        super().__init__()
        self.lin = nn.Linear(inputs, out_channels)
        self.out_channels = out_channels

    def forward(self, images: Tensor) -> Tensor:
        return self.lin(images).tanh()


@lru_cache
def load_golden(path: Path) -> Golden:
    """Read a golden file."""
    with safe_open(path, "pt") as file:
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        return Golden(json.loads(file.metadata()["meta"]), tensors)


def assert_close(name: str, ours: Tensor, golden: Tensor, bound: float) -> None:
    """Largest difference over the golden's largest entry, at most `bound`."""
    # Adding the same constant to both scores of the edge attention changes nothing, so this
    # gradient is exactly zero; ours and the recorded one are rounding noise of some processor.
    absolute = name.endswith(("edges.key.bias", "edge_model.att.k_linear.bias"))
    scale = 1.0 if absolute else golden.abs().max().item()
    error = (ours.detach().reshape(golden.shape) - golden).abs().max().item()
    limit = (1e-11 if absolute else bound) * scale
    assert error <= limit, f"{name}: off by {error:.3g}, allowed {limit:.3g}"


torch.set_num_threads(1)
