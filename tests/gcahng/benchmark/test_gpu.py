"""The GPU benchmark, as far as a machine without one goes: its parts run on the CPU."""

from contextlib import nullcontext

import pytest
import torch
from rich.console import Console

from gcahng.benchmark import gpu
from gcahng.benchmark.workloads import Shape

SMALL = Shape(4, 2, 16, 1, 2, training_classes=10)


def test_it_names_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ValueError, match="--gpu: torch finds no CUDA device"):
        gpu.run_gpu(["A"], 1, None, Console(quiet=True))
    with pytest.raises(ValueError, match="shape"):
        gpu.run_gpu(["Z"], 1, None, Console(quiet=True))


def test_each_part_computes_what_it_is_named_after(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu, "IMAGE_SIZE", 32)
    step = gpu._step(SMALL, torch.device("cpu"), nullcontext)
    images, labels = torch.rand(8, 3, 32, 32), torch.arange(4).repeat(2)
    parts = gpu._parts(step, SMALL, images, labels, nullcontext)
    assert step.generator is not None
    graph, backbone = step.generator.graph.projection, step.embedder.backbone
    parts["embedder"]()
    assert next(backbone.parameters()).grad is not None
    assert graph.weight.grad is None
    parts["eager"]()
    assert graph.weight.grad is not None
    parts["metric"]()
    alone = gpu._step(SMALL, torch.device("cpu"), nullcontext, negatives=False)
    assert set(alone(images, labels)) == {"metric", "total", "gradient"}
    assert "generator" in step(images, labels)


def test_tf32_is_as_before_afterwards() -> None:
    before = torch.backends.cuda.matmul.allow_tf32
    with gpu._precision("tf32"):
        assert torch.backends.cuda.matmul.allow_tf32
    with gpu._precision("float32"):
        assert not torch.backends.cudnn.allow_tf32
    assert torch.backends.cuda.matmul.allow_tf32 == before
