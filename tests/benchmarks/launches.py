"""Count what one training step launches on a GPU, by the function that asks for it.

python -m tests.benchmarks.launches  # docs/results/launches.md and .csv; needs no GPU
"""

import re
import traceback
from collections import Counter
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
import typer
from torch import Tensor, nn
from torch._inductor.utils import run_and_get_code
from torch.optim import SGD
from torch.utils._python_dispatch import TorchDispatchMode

from gcahng.graph import batch_layout
from gcahng.graph.dense import pairs
from gcahng.losses import NPairLoss
from gcahng.training.generator_pass import CompiledPass, Pass
from gcahng.training.optimizers import Optimizers
from gcahng.training.step import TrainingStep
from tests.benchmarks.common import CPU, SHAPES, Out, Rows, Shape, build_generator, report

LISTED = 10  # the fewest launches that a row of the table has
DROPOUTS = ("off", "tied", "independent")
# Lines of generated code that launch something.
CALL = r"^ +(?:\w+ = )?(cpp_fused\w*|extern_kernels\.\w+|(?:torch\.ops\.)?aten\.[\w.]+)\("
CALLS = re.compile(CALL, re.MULTILINE)
OURS = re.compile(r"/((?:gcahng|graph)/[\w/]+)\.py$")


class Launches(TorchDispatchMode):
    """Count operations by the file and the function of ours that they come from.

    Views and uninitialised memory launch nothing. An operation counts once, even where a GPU takes
    several kernels for it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[tuple[str, str]] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__
        if not func.is_view and not name.startswith(("empty", "new_empty", "_unsafe_view")):
            self.counts[_caller()] += 1
        return func(*args, **(kwargs or {}))


def main(shape: str = "A", out: Path = Out) -> None:
    """Count the launches with each dropout of the edges, between embeddings and optimizers."""
    counts = {dropout: count(shape, dropout) for dropout in DROPOUTS}
    rows = [{"file": "all", "function": "", **{d: counts[d].total() for d in DROPOUTS}}]
    others: dict[str, Any] = {"file": "other", "function": "", **dict.fromkeys(DROPOUTS, 0)}
    for file, function in sorted(set().union(*counts.values()), key=lambda at: -counts["tied"][at]):
        found = {dropout: counts[dropout][file, function] for dropout in DROPOUTS}
        if max(found.values()) >= LISTED:
            rows.append({"file": f"{file}.py", "function": function, **found})
        else:
            others |= {dropout: others[dropout] + number for dropout, number in found.items()}
    report("launches", [*rows, others], out, compiled_launches(shape))


def compiled_launches(shape: str) -> Rows:
    """Count, with tied dropout, what each pass launches as it is and compiled, and the rest."""
    size = SHAPES[shape]
    embeddings, labels = torch.randn(size.nodes, size.dim), _labels(size)
    layout, as_it_is, rows = batch_layout(labels), 0, []
    for method, name in (("forward", "metric pass"), ("generator_losses", "generator pass")):
        generator = build_generator(size, CPU, edge_dropout="tied")
        run = CompiledPass(generator, method)
        run.tensors.prepare(embeddings, layout.order, layout.classes)

        def differentiate(compute: Pass) -> None:
            compute(embeddings.clone().requires_grad_(), labels, layout=layout).total.backward()

        generated = run_and_get_code(differentiate, run)[1]
        generator.zero_grad()
        with patch.object(pairs, "CPU_CHUNK", pairs.DEVICE_CHUNK), Launches() as launches:
            differentiate(getattr(generator, method))
        calls = [call for code in generated for call in CALLS.findall(code)]
        fused = sum(call.startswith("cpp_fused") for call in calls)
        as_it_is += launches.counts.total()
        row = {"pass": name, "as it is": launches.counts.total(), "compiled": len(calls)}
        rows.append({**row, "fused": fused, "products and others": len(calls) - fused})
    rest = count(shape, "tied").total() - as_it_is
    rows.append({"pass": "rest of the step", "as it is": rest, "compiled": rest})
    whole = {key: sum(row[key] for row in rows) for key in ("as it is", "compiled")}
    return [*rows, {"pass": "step", **whole}]


def count(shape: str, dropout: str) -> Counter[tuple[str, str]]:
    """Count the launches of one step of a shape."""
    size = SHAPES[shape]
    generator = build_generator(size, CPU, edge_dropout=dropout)
    embedder = nn.Linear(size.dim, size.dim)
    parts = (embedder, generator.graph, generator.classifier)
    step = TrainingStep(
        embedder, NPairLoss(), generator, Optimizers(*(SGD(p.parameters(), lr=0.1) for p in parts))
    )
    images, labels = torch.randn(size.nodes, size.dim), _labels(size)
    with patch.object(pairs, "CPU_CHUNK", pairs.DEVICE_CHUNK):
        step(images, labels)  # what is computed once
        # Anomaly detection remembers where in forward each function of backward comes from.
        with torch.autograd.detect_anomaly(check_nan=False), Launches() as launches:
            step(images, labels)
    # The layout is found on the CPU, and optimizers treat all tensors at once on a GPU.
    elsewhere = {("", ""), ("gcahng/training/step", "_step"), ("gcahng/training/step", "_zero")}
    elsewhere.add(("graph/batch", "batch_layout"))
    return Counter({at: n for at, n in launches.counts.items() if at not in elsewhere})


def _labels(size: Shape) -> Tensor:
    return torch.arange(size.classes).repeat(size.samples)


def _caller() -> tuple[str, str]:
    """The innermost file and function of ours; in backward that of the forward pass."""
    node = torch._C._current_autograd_node()
    found = _ours([(f.filename, f.name) for f in traceback.extract_stack()])
    if node is not None and found[0] == "gcahng/training/step":
        lines = "".join(node.metadata.get("traceback_", []))
        found = _ours(re.findall(r'File "(.+)", line \d+, in (\S+)', lines))
    return found


def _ours(frames: list[tuple[str, str]]) -> tuple[str, str]:
    for filename, function in reversed(frames):
        match = OURS.search(filename)
        if match and function != "wrapped":
            return match[1].replace("gcahng/graph", "graph"), function
    return "", ""


if __name__ == "__main__":
    typer.run(main)
