"""A replayed pass is the pass: here the recording is emulated, `test_gpu` records a real one."""

from contextlib import nullcontext
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor

from gcahng.generators import GENERATORS, NegativeGenerator
from gcahng.graph import batch_layout
from gcahng.training import cuda_graph
from gcahng.training.cuda_graph import ReplayedPass, check_replay
from tests.gcahng.training import steps

BFLOAT16 = partial(torch.autocast, "cpu", torch.bfloat16)


@pytest.fixture
def recordings(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """What was recorded. Recording runs nothing here; a replay computes the pass again."""
    recorded: list[object] = []
    compute = cuda_graph._Recording._compute

    def record_or_compute(recording: cuda_graph._Recording) -> Any:
        if recording in recorded:
            return compute(recording)
        recorded.append(recording)
        return torch.zeros(()), [], []

    def replay(recording: cuda_graph._Recording, *arguments: Tensor) -> None:
        for kept, argument in zip(recording.inputs, arguments, strict=True):
            kept.data.copy_(argument)
        recording.total, recording.kept, recording.gradients = recording._compute()
        recording.names, recording.pairs = recording.tensors.names, recording.tensors.pairs

    monkeypatch.setattr(cuda_graph._Recording, "_compute", record_or_compute)
    monkeypatch.setattr(cuda_graph._Recording, "replay", replay)
    monkeypatch.setattr(cuda_graph._Recording, "_warm_up", lambda recording: None)
    monkeypatch.setattr(torch.cuda, "CUDAGraph", object)
    monkeypatch.setattr(torch.cuda, "graph", lambda graph: nullcontext())
    return recorded


@pytest.mark.parametrize(
    ("settings", "mixed"),
    [({}, False), ({}, True), ({"normalize": True, "linear_ce_weight": 0.5}, False)],
)
def test_replayed_steps_are_those_of_the_passes(
    recordings: list[object], settings: dict[str, Any], mixed: bool
) -> None:
    found = []
    for replay in (False, True):
        net, made = steps.embedder(), steps.generator(**settings)
        if mixed:
            net, made = net.float(), made.float()
        autocast = BFLOAT16 if mixed else nullcontext
        step = steps.make(net, made, cuda_graphs=replay, autocast=autocast)
        measured: list[dict[str, float]] = []
        for number in range(3):
            images, labels, _ = steps.batch(number)
            torch.manual_seed(number)
            losses = step(images.to(next(net.parameters()).dtype), labels)
            measured.append({name: float(loss) for name, loss in losses.items()})
        found.append((net, made, measured))
    (net, made, expected), (other, remade, measured) = found
    close = 5e-2 if mixed else 1e-12
    for ours, theirs in zip(measured, expected, strict=True):
        assert ours == pytest.approx(theirs, rel=close)
    if not mixed:
        steps.assert_same_state(other, net, 1e-10)
        steps.assert_same_state(remade, made, 1e-10)
    assert len(recordings) == 2, "each pass once, although three steps were taken"


def test_each_shape_is_recorded_once(recordings: list[object]) -> None:
    replayed = ReplayedPass(steps.generator(), "forward", nullcontext)
    for classes in (3, 4, 3):
        labels = torch.arange(classes).repeat(2)
        embeddings = torch.randn(2 * classes, steps.CHANNELS, dtype=torch.float64)
        made = replayed(embeddings, labels, layout=batch_layout(labels))
        assert made.negatives is not None
        assert made.negatives.shape == (2, classes, classes, steps.CHANNELS)
    assert len(recordings) == 2


def test_what_a_replay_returned_outlives_the_next_one(recordings: list[object]) -> None:
    replayed = ReplayedPass(steps.generator(), "forward", nullcontext)
    labels = torch.arange(3).repeat(2)
    embeddings = torch.randn(2, 6, steps.CHANNELS, dtype=torch.float64)
    first = replayed(embeddings[0], labels, layout=batch_layout(labels))
    before = first.total.clone(), first.negatives.clone()
    replayed(embeddings[1], labels, layout=batch_layout(labels))
    assert torch.equal(first.total, before[0])
    assert torch.equal(first.negatives, before[1])


@pytest.mark.parametrize(
    ("generator", "device", "sentence"),
    [
        (None, "cuda", " has no effect: only gca_hng"),
        (GENERATORS["unmoved"](8, 5), "cuda", " has no effect: only gca_hng"),
        (steps.generator(), "cpu", ": expected a CUDA device, got cpu"),
        (steps.generator(path="sparse"), "cuda", r".*graph\.path dense"),
        (steps.generator(edge_dropout="independent"), "cuda", ".*dropout tied or off"),
    ],
)
def test_it_refuses_what_it_cannot_replay(
    generator: NegativeGenerator | None, device: str, sentence: str
) -> None:
    with pytest.raises(ValueError, match=f"^fabric.cuda_graphs{sentence}"):
        check_replay(generator, torch.device(device))
