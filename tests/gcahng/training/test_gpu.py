"""The same training on a GPU: steps, precision, resuming and evaluation. Skipped without one."""

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from gcahng.evaluation.ranking import Ranking, unit_rows
from gcahng.generators import GENERATORS
from gcahng.losses import NPairLoss
from gcahng.runs.checkpoint import load_checkpoint
from gcahng.training.measure_step import measure_time, tensor_peak_mib
from gcahng.training.optimizers import Optimizers
from gcahng.training.step import TrainingStep
from tests.gcahng.training import steps
from tests.gcahng.training.test_trainer import _trainer

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]
DEVICE = "cuda"
ON_DEVICE = f"fabric.accelerator={DEVICE}"


@pytest.mark.parametrize(
    "settings",
    [
        {"path": "dense"},
        {"path": "dense", "memory": "low", "edge_heads": 2},
        {"path": "sparse"},
        {"normalize": True},
        {"node_ce": 0.0},
        {"linear_ce_weight": 0.5},
    ],
    ids=str,
)
def test_three_steps_are_those_of_the_cpu(settings: dict[str, Any]) -> None:
    embedders, generators, losses = [], [], []
    for device in ("cpu", DEVICE):
        net, made = steps.embedder().to(device), steps.generator(**settings).to(device)
        step = steps.make(net, made)
        for number in range(3):
            images, labels, draws = steps.batch(number)
            moved = tuple(part.to(device) for part in draws)
            measured = step(images.to(device), labels, moved)
        embedders.append(net)
        generators.append(made.cpu())
        losses.append({name: value.cpu() for name, value in measured.items()})
    for name, value in losses[0].items():
        torch.testing.assert_close(losses[1][name].double(), value.double(), rtol=1e-8, atol=1e-10)
    steps.assert_same_state(embedders[1].cpu(), embedders[0], 1e-8)
    steps.assert_same_state(generators[1], generators[0], 1e-8)


@pytest.mark.parametrize("memory", ["balanced", "low"])
def test_independent_dropout_is_that_of_message_passing(memory: str) -> None:
    found = []
    for path in ("dense", "sparse"):
        settings = {"edge_dropout": "independent", "dropout": 0.3, "memory": memory}
        made = steps.generator(path=path, **settings).to(DEVICE)
        images, labels, draws = steps.batch()
        embeddings = steps.embedder()(images).detach().to(DEVICE).requires_grad_()
        torch.manual_seed(3)
        out = made.generator_losses(embeddings, labels, draws=draws[1].to(DEVICE))
        out.total.backward()
        gradients = [p.grad for p in made.graph.parameters() if p.grad is not None]
        found.append([out.channel_coefficients, *out.losses.values(), *gradients])
    for dense, sparse in zip(*found, strict=True):
        torch.testing.assert_close(dense, sparse, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("name", sorted(GENERATORS))
def test_every_generator_takes_a_step(name: str) -> None:
    torch.manual_seed(0)
    graph = {"graph": {"heads": 2, "layers": 1}} if name == "gca_hng" else {}
    made = GENERATORS[name](steps.CHANNELS, steps.CLASSES, **graph).to(DEVICE)
    net = nn.Linear(steps.INPUTS, steps.CHANNELS).to(DEVICE)
    before = deepcopy(net.state_dict())
    heads, judges = list(made.head_parameters()), list(made.classifier_parameters())
    optimizers = Optimizers(
        torch.optim.AdamW(net.parameters()),
        torch.optim.AdamW(heads) if heads else None,
        torch.optim.AdamW(judges) if made.has_generator_losses else None,
    )
    images, labels, _ = steps.batch()
    step = TrainingStep(net, NPairLoss(), made, optimizers)
    measured = step(images.float().to(DEVICE), labels)
    assert all(value.device.type == DEVICE and value.isfinite() for value in measured.values())
    assert not torch.equal(before["weight"], net.weight)


@pytest.mark.parametrize("dropout", ["off", "tied"])
def test_a_step_does_not_wait_for_the_gpu(dropout: str) -> None:
    net, made = steps.embedder().to(DEVICE), steps.generator(edge_dropout=dropout).to(DEVICE)
    step = steps.make(net, made)
    images, labels, _ = steps.batch()
    images = images.to(DEVICE)
    step(images, labels)
    torch.cuda.set_sync_debug_mode("error")
    try:
        step(images, labels)
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize("dropout", ["off", "tied"])
@pytest.mark.parametrize("mixed", [False, True])
@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("cuda_graphs", [False, True])
def test_compiled_and_replayed_steps_are_those_of_the_passes(
    dropout: str, mixed: bool, compiled: bool, cuda_graphs: bool
) -> None:
    # Autocast's cache sums the gradients of a weight in bfloat16; a recording has no such cache.
    how = {"compiled": compiled, "cuda_graphs": cuda_graphs}
    steps.assert_same_steps({"edge_dropout": dropout}, mixed, DEVICE, **how)


def test_a_training_with_cuda_graphs_learns_and_resumes(tmp_path: Path) -> None:
    trainer = _trainer(tmp_path, ON_DEVICE, "fabric.cuda_graphs=true")
    trainer.end_epoch(trainer.train_epoch())
    resumed = _trainer(tmp_path, ON_DEVICE, "fabric.cuda_graphs=true")
    resumed.resume()
    resumed.fit()
    first, last = resumed.progress.history[0], resumed.progress.history[-1]
    assert last["loss/metric"] < first["loss/metric"]


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed", "64-true"])
def test_it_learns_in_every_precision(tmp_path: Path, precision: str) -> None:
    trainer = _trainer(tmp_path, ON_DEVICE, f"fabric.precision={precision}")
    trainer.fit()
    first, last = trainer.progress.history[0], trainer.progress.history[-1]
    assert last["loss/metric"] < first["loss/metric"]


def test_resumes_exactly_with_deterministic_algorithms(tmp_path: Path) -> None:
    settings = (ON_DEVICE, "fabric.deterministic=true")
    try:
        whole = _trainer(tmp_path / "whole", *settings)
        whole.fit()
        first = _trainer(tmp_path / "halved", *settings)
        first.end_epoch(first.train_epoch())
        second = _trainer(tmp_path / "halved", *settings)
        second.resume()
        second.fit()
    finally:
        torch.use_deterministic_algorithms(False)
    weights = second.experiment.embedder.state_dict()
    for name, value in whole.experiment.embedder.state_dict().items():
        assert torch.equal(weights[name], value)


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two GPUs")
@pytest.mark.parametrize("settings", [(), ("fabric.cuda_graphs=true",)])
def test_the_second_gpu_is_the_current_one_and_its_random_state_goes_on(
    tmp_path: Path, settings: tuple[str, ...]
) -> None:
    on_second = (ON_DEVICE, "fabric.devices=[1]", *settings)
    untouched = torch.cuda.get_rng_state(0)
    try:
        first = _trainer(tmp_path, *on_second)
        assert torch.cuda.current_device() == first.fabric.device.index == 1
        first.end_epoch(first.train_epoch())
        after = torch.cuda.get_rng_state(1)
        torch.cuda.manual_seed_all(99)
        second = _trainer(tmp_path, *on_second)
        second.resume()
        assert torch.equal(torch.cuda.get_rng_state(1), after)
        assert len(load_checkpoint(second.folder.last)["random"]["cuda"]) == 1
        second.fit()
    finally:
        torch.cuda.set_rng_state(untouched, 0)
        torch.cuda.set_device(0)


def test_time_and_memory_are_those_of_the_gpu() -> None:
    device = torch.device(DEVICE)
    seconds, made = measure_time(lambda: torch.ones(2**18, device=device), device)
    assert seconds > 0
    assert tensor_peak_mib(lambda: made + 1 + 1, device) == pytest.approx(2, abs=0.01)


def test_ranking_is_that_of_the_cpu() -> None:
    coarse = torch.randint(-2, 3, (500, 6), generator=torch.manual_seed(0)).float()
    for embeddings, k in ((coarse, 20), (torch.randn(5000, 512), 9)):
        units = unit_rows(embeddings)
        assert torch.equal(unit_rows(embeddings.to(DEVICE)).cpu(), units)
        found = Ranking(units.to(DEVICE)).nearest(units.to(DEVICE), k)
        assert torch.equal(found.cpu(), Ranking(units).nearest(units, k))
        exact = Ranking(units.to(DEVICE)).similarities(units.to(DEVICE), found)
        assert torch.equal(exact.cpu(), Ranking(units).similarities(units, found.cpu()))
