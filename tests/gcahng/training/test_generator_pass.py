"""A compiled or replayed pass is the pass; recording is emulated, `test_gpu` records a real one."""

from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch._inductor.utils import run_and_get_code

from gcahng.generators import GENERATORS, NegativeGenerator
from gcahng.graph import batch_layout
from gcahng.training import generator_pass
from gcahng.training.generator_pass import CompiledPass, ReplayedPass, check_passes
from tests.benchmarks.launches import CALLS
from tests.gcahng.training import steps
from tests.graph.oracle import assert_near


@pytest.fixture
def recordings(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """What was recorded. Recording runs nothing here; a replay computes the pass again."""
    recorded: list[object] = []
    compute = generator_pass._Recording._compute

    def record_or_compute(recording: generator_pass._Recording) -> Any:
        if recording in recorded:
            return compute(recording)
        recorded.append(recording)
        return torch.zeros(()), [], []

    def replay(recording: generator_pass._Recording, *arguments: Tensor) -> None:
        for kept, argument in zip(recording.inputs, arguments, strict=True):
            kept.data.copy_(argument)
        recording.total, recording.kept, recording.gradients = recording._compute()

    monkeypatch.setattr(generator_pass._Recording, "_compute", record_or_compute)
    monkeypatch.setattr(generator_pass._Recording, "replay", replay)
    monkeypatch.setattr(generator_pass._Recording, "_warm_up", lambda recording: None)
    monkeypatch.setattr(torch.cuda, "CUDAGraph", object)
    monkeypatch.setattr(torch.cuda, "graph", lambda graph: nullcontext())
    return recorded


SETTINGS = [
    ({}, False),
    ({"edge_dropout": "tied"}, True),
    ({"edge_dropout": "tied", "normalize": True, "linear_ce_weight": 0.5}, False),
]


@pytest.mark.parametrize(("settings", "mixed"), SETTINGS)
def test_replayed_steps_are_those_of_the_passes(
    recordings: list[object], settings: dict[str, Any], mixed: bool
) -> None:
    steps.assert_same_steps(settings, mixed, cuda_graphs=True)
    assert len(recordings) == 2, "each pass once, although three steps were taken"


@pytest.mark.slow
@pytest.mark.parametrize("how", [{}, {"cuda_graphs": True}])
@pytest.mark.usefixtures("recordings")
def test_compiled_steps_are_those_of_the_passes(
    how: dict[str, bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was traced runs as it is: to fuse it would take a minute for each pass and setting."""
    torch._dynamo.reset()
    monkeypatch.setattr(generator_pass, "COMPILER", {"backend": "aot_eager"})
    for settings, mixed in SETTINGS[2:] if how else SETTINGS[1:]:
        steps.assert_same_steps(settings, mixed, compiled=True, **how)


@pytest.mark.slow
def test_a_fused_pass_is_the_pass(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    torch._dynamo.reset()
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    labels = torch.arange(3).repeat(2)
    layout, found = batch_layout(labels), []
    embeddings = torch.randn(6, steps.CHANNELS, dtype=torch.float64)

    def differentiate(compiled: bool) -> None:
        made = steps.generator(edge_dropout="tied")
        compute = CompiledPass(made, "generator_losses") if compiled else made.generator_losses
        torch.manual_seed(0)
        total = compute(embeddings, labels, layout=layout).total
        total.backward()
        found.append(torch.cat([total.detach().view(1), steps.all_gradients(made.parameters())]))

    differentiate(compiled=False)
    generated = run_and_get_code(differentiate, compiled=True)[1]
    assert_near("loss and gradients", found[1], found[0], 1e-12)
    assert 50 < sum(len(CALLS.findall(code)) for code in generated) < 200


@pytest.mark.slow
def test_every_shape_of_a_batch_is_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    torch._dynamo.reset()
    monkeypatch.setattr(generator_pass, "COMPILER", {"backend": "eager"})
    monkeypatch.setattr("torch._dynamo.config.cache_size_limit", 1)
    compiled = generator_pass.CompiledPass(steps.generator(edge_dropout="tied"), "forward")
    for classes in (2, 3, 4):
        labels = torch.arange(classes).repeat(2)
        rows = torch.rand(len(labels), compiled.tensors.generator.embedding_dim).double()
        made = compiled(rows, labels, layout=batch_layout(labels))
        assert made.negatives.shape[1] == classes


def test_without_a_compiler_passes_run_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    torch._dynamo.reset()
    monkeypatch.setattr("torch._inductor.config.force_disable_caches", True)
    monkeypatch.setattr("torch._inductor.config.cpp.cxx", (None, "no-such-compiler"))
    with pytest.warns(UserWarning, match="^fabric.compile: torch cannot compile here"):
        steps.assert_same_steps({"edge_dropout": "tied"}, False, compiled=True)


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
        check_passes("fabric.cuda_graphs", generator, torch.device(device))
