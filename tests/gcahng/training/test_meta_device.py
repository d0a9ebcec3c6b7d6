"""Whole training steps on the meta device, which refuses to mix devices and to be read by the host.

So a tensor left on the CPU, or a wait for the device in a step, fails here without a GPU. Only
independent edge dropout waits: the number of its rows depends on the draws.
"""

import pytest
import torch
from torch import nn
from torch.fx.experimental import _config
from torch.optim import AdamW

from gcahng.generators import GENERATORS, NegativeGenerator
from gcahng.losses import LOSSES
from gcahng.training.optimizers import Optimizers
from gcahng.training.step import TrainingStep
from tests.gcahng.flat import grouped

SAMPLES, SAMPLED, CHANNELS, CLASSES = 3, 4, 8, 6
GRAPH = {"heads": 2, "layers": 2, "edge_heads": 2}
WEIGHTS = ("gamma", "similarity", "diversity")
# Every generator, and the settings of the one that leave a branch out.
GENERATOR_SETTINGS = {
    **{name: (name, {}) for name in GENERATORS},
    **{f"gca_hng {path}": ("gca_hng", {"path": path}) for path in ("dense", "sparse")},
    **{f"gca_hng {d}": ("gca_hng", {"edge_dropout": d}) for d in ("off", "tied", "independent")},
    "no node loss": ("gca_hng", {"node_ce": 0.0}),
    "no synthetic term": ("gca_hng", {"synthetic_weight": 0.0}),
    "no generator losses": ("gca_hng", dict.fromkeys(WEIGHTS, 0.0)),
    "unit sphere": ("gca_hng", {"normalize": True}),
    "published": ("gca_hng", {"similarity_mask": True, "same_class_negatives": True}),
    "linear class loss": ("gca_hng", {"linear_ce_weight": 1.0}),
}


def run_step(generator: NegativeGenerator | None, loss: nn.Module, clip_by: str) -> None:
    """One step whose images, networks and optimizers are on the meta device."""
    embedder = nn.Linear(5, CHANNELS, device="meta")
    loss = loss.to("meta")
    graph = classifier = None
    if generator is not None:
        generator = generator.to("meta")
        heads, judges = list(generator.head_parameters()), list(generator.classifier_parameters())
        graph = AdamW(heads) if heads else None
        classifier = AdamW(judges) if generator.has_generator_losses else None
    metric = AdamW([*embedder.parameters(), *loss.parameters()])
    optimizers = Optimizers(metric, graph, classifier)
    step = TrainingStep(embedder, loss, generator, optimizers, clip=1.0, clip_by=clip_by)
    images = torch.empty(SAMPLES * SAMPLED, 5, device="meta")
    losses = step(images, torch.tensor([5, 0, 3, 2]).repeat(SAMPLES))
    assert {value.device.type for value in losses.values()} == {"meta"}
    # What the log of an epoch does with them.
    assert torch.stack([value.double() for value in losses.values()]).device.type == "meta"


@pytest.mark.parametrize("name", GENERATOR_SETTINGS)
def test_every_generator(name: str) -> None:
    made, settings = GENERATOR_SETTINGS[name]
    arguments = grouped(GRAPH | settings) if made == "gca_hng" else settings
    generator = GENERATORS[made](CHANNELS, CLASSES, **arguments)
    waits = settings.get("edge_dropout") == "independent"
    with _config.patch(meta_nonzero_assume_all_nonzero=waits):
        run_step(generator, LOSSES["npair"](), "norm")


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("npair", {}),
        ("npair", {"normalize": True, "all_negatives": True}),
        ("proxy_anchor", {"num_classes": CLASSES, "embedding_dim": CHANNELS}),
    ],
)
@pytest.mark.parametrize("alone", [True, False])
def test_every_loss(name: str, args: dict[str, object], alone: bool) -> None:
    generator = None if alone else GENERATORS["gca_hng"](CHANNELS, CLASSES, graph=GRAPH)
    run_step(generator, LOSSES[name](**args), "value")
