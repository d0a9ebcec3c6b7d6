"""Three training steps of many set-ups, in one process or in one of several.

Run as `python -m tests.gcahng.training.process_steps RANK PROCESSES STORE OUT`.
"""

import sys
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch import distributed as dist
from torch.nn.parallel import DistributedDataParallel
from torch.optim import AdamW

from gcahng.generators import GENERATORS
from gcahng.losses import LOSSES
from gcahng.models.batch_statistics import use_global_statistics
from gcahng.models.embedder import Embedder
from gcahng.processes import all_processes, copy_from_first, own_part, rank
from gcahng.training.embed_batch import embed_batch
from gcahng.training.optimizers import Optimizers
from gcahng.training.step import TrainingStep
from tests.gcahng.flat import grouped
from tests.golden import Golden, load_golden, method_golden_files

SAMPLES, SAMPLED, CHANNELS, CLASSES, STEPS = 3, 4, 8, 6, 3
# With the default of 1e-8, AdamW magnifies the rounding of gradients that should be zero.
EPS = 1e-6
GRAPH = {"heads": 2, "layers": 2, "edge_heads": 2, "edge_dropout": "off"}
MIXED = ["gca_node_only", "mlp", "gca_edge_only", "none", "gca"]
PROXIES = {"num_classes": CLASSES, "embedding_dim": CHANNELS}
# The only results that belong to one process.
OWN_BATCHES = "own batches"
Setup = tuple[str | None, dict[str, Any], str, dict[str, Any]]
SETUPS: dict[str, Setup] = {
    "no generator": (None, {}, "npair", {}),
    **{name: (name, {}, "npair", {}) for name in sorted(GENERATORS) if name != "gca_hng"},
    "dense": ("gca_hng", GRAPH, "npair", {}),
    "tied dropout": ("gca_hng", GRAPH | {"edge_dropout": "tied"}, "npair", {}),
    "low memory": ("gca_hng", GRAPH | {"memory": "low"}, "npair", {}),
    "other layers": ("gca_hng", GRAPH | {"layers": MIXED}, "npair", {}),
    "no layers": ("gca_hng", GRAPH | {"layers": 0}, "npair", {}),
    "sparse": ("gca_hng", GRAPH | {"path": "sparse"}, "npair", {}),
    "independent dropout": ("gca_hng", GRAPH | {"edge_dropout": "independent"}, "npair", {}),
    "operator of PyG": ("gca_hng", GRAPH | {"conv": "gatv2"}, "npair", {}),
    "proxies": ("gca_hng", GRAPH, "proxy_anchor", PROXIES),
    "unit sphere": ("gca_hng", GRAPH | {"normalize": True, "temperature": 0.2}, "npair", {}),
    "detached anchor": ("gca_hng", GRAPH | {"detach_anchor": True}, "npair", {}),
    "shared channels": ("gca_hng", GRAPH | {"shared_channels": True}, "npair", {}),
    "no node loss": ("gca_hng", GRAPH | {"node_ce": 0.0}, "npair", {}),
    "linear class loss": ("gca_hng", GRAPH | {"linear_ce_weight": 0.5}, "npair", {}),
    "published": (
        "gca_hng",
        GRAPH | {"similarity_mask": True, "same_class_negatives": True, "edge_heads": 1},
        "npair",
        {},
    ),
}


class Backbone(nn.Sequential):
    """A convolution with a BatchNorm that is trained."""

    def __init__(self) -> None:
        super().__init__(nn.Conv2d(2, 5, 3, bias=False), nn.BatchNorm2d(5), nn.Tanh(), nn.Flatten())
        self.out_channels = 5 * 2 * 2


def take_steps(
    setup: Setup, frozen: Sequence[str] = (), chunk: int | None = None
) -> dict[str, Tensor]:
    """Train three steps; losses of each, and all weights and statistics at the end."""
    name, settings, loss_name, loss_settings = setup
    torch.manual_seed(0)
    group = all_processes()
    embedder = Embedder(Backbone(), CHANNELS, freeze=frozen).double().train()
    loss = LOSSES[loss_name](**loss_settings).double()
    if name == "gca_hng":
        settings = grouped(settings)
    generator = None if name is None else GENERATORS[name](CHANNELS, CLASSES, **settings).double()
    use_global_statistics(embedder.backbone, group)
    modules = {"embedder": embedder, "loss": loss}
    heads, judges = [], []
    if generator is not None:
        modules["generator"] = generator
        heads, judges = list(generator.head_parameters()), list(generator.classifier_parameters())
    if rank(group):  # the weights of process 0 count
        for module in modules.values():
            for parameter in module.parameters():
                parameter.data.zero_()
    copy_from_first(modules.values(), group)
    trained = generator is not None and generator.has_generator_losses
    optimizers = Optimizers(
        AdamW([*embedder.parameters(), *loss.parameters()], lr=3e-3, eps=EPS),
        AdamW(heads, lr=2e-3, eps=EPS) if heads else None,
        AdamW(judges, lr=1e-2, eps=EPS) if trained else None,
    )
    step = TrainingStep(
        *(embedder, loss, generator, optimizers),
        **{"clip": 1.0, "clip_by": "norm", "chunk": chunk, "group": group},
    )
    found = {}
    for number in range(STEPS):
        source = torch.Generator().manual_seed(number)
        images = torch.randn(SAMPLES * SAMPLED, 2, 4, 4, dtype=torch.float64, generator=source)
        labels = torch.randperm(CLASSES, generator=source)[:SAMPLED].repeat(SAMPLES)
        losses = step(images[own_part(len(labels), group)], labels)
        found |= {f"{number} {key}": value for key, value in losses.items()}
        if generator is not None and number == 0:
            generator.hardness.end_epoch()
    for part, module in modules.items():
        found |= {f"{part}.{key}": value for key, value in module.state_dict().items()}
    return found


def own_batch_losses() -> dict[str, Tensor]:
    """Losses of a batch by each process in an ordinary script, which passes no group.

    One process computes the batches of all that there may be.
    """
    processes, found = all_processes(), {}
    for number in range(3) if processes is None else [rank(processes)]:
        torch.manual_seed(0)
        generator: Any = GENERATORS["gca_hng"](CHANNELS, CLASSES, graph=GRAPH).double()
        generator.hardness.metric.fill_(2.0)
        generator.hardness.generator.fill_(5.0)
        trained = generator
        if processes is not None:
            trained = DistributedDataParallel(generator, find_unused_parameters=True)
        source = torch.Generator().manual_seed(number)
        z = torch.randn(SAMPLES * SAMPLED, CHANNELS, dtype=torch.float64, generator=source)
        draws = torch.rand(SAMPLES, SAMPLES - 1, dtype=torch.float64, generator=source)
        labels = torch.randperm(CLASSES, generator=source)[:SAMPLED].repeat(SAMPLES)
        for made in (
            trained(z.requires_grad_(), labels, draws=draws),
            generator.generator_losses(z, labels, draws=draws),
        ):
            made.total.backward()
            found[f"{number} negatives"] = made.negatives.detach()
            found |= {f"{number} {key}": loss.detach() for key, loss in made.losses.items()}
        found[f"{number} gradient"] = z.grad
    return found


def dropped_entries() -> dict[str, Tensor]:
    """Which entries of three steps' features a backbone with dropout sets to zero."""
    images, group = torch.ones(SAMPLES * SAMPLED, 50), all_processes()
    own = images[own_part(len(images), group)]
    dropout = nn.Dropout(0.5)
    return {
        str(number): embed_batch(dropout, own, len(images), number=number, group=group)[0].eq(0)
        for number in range(STEPS)
    }


def golden_steps(golden: Golden) -> dict[str, Tensor]:
    """The recorded steps of the published code; the weights after them."""
    from tests.test_method_golden import training_step

    step, group = training_step(golden, "dense"), all_processes()
    step.group = group
    recorded = zip(golden.meta["step_j"], golden.draws(), strict=True)
    for number, ((metric, generated), draws) in enumerate(recorded):
        step.generator.hardness.metric.fill_(metric)
        step.generator.hardness.generator.fill_(generated)
        labels = golden[f"step{number}.labels"]
        own = golden[f"step{number}.inputs"][own_part(len(labels), group)]
        step(own, labels, (draws[0], draws[1]))
    modules = {"embedder": step.embedder, "generator": step.generator}
    return {
        f"{part}.{key}": value
        for part, module in modules.items()
        for key, value in module.state_dict().items()
    }


def all_steps() -> dict[str, dict[str, Tensor]]:
    """Every set-up and every golden."""
    found = {name: take_steps(setup) for name, setup in SETUPS.items()}
    chunk = None if all_processes() is None else 2
    found["in chunks"] = take_steps(SETUPS["dense"], ["bn"], chunk)
    found["dropout"] = dropped_entries()
    found[OWN_BATCHES] = own_batch_losses()
    for parameter in method_golden_files():
        found[str(parameter.id)] = golden_steps(load_golden(parameter.values[0]))
    return found


if __name__ == "__main__":
    process, processes, store, out = sys.argv[1:]
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo", init_method=f"file://{store}", rank=int(process), world_size=int(processes)
    )
    torch.save(all_steps(), f"{out}/{process}.pt")
    dist.destroy_process_group()
