"""`gcahng benchmark`: time and memory of the dense path, or of an experiment's training step."""

import os
from pathlib import Path
from typing import Annotated

import typer

from gcahng.commands.terminal import console

Overrides = Annotated[
    list[str] | None, typer.Argument(help="With --experiment: settings, each key.path=value.")
]
Threads = Annotated[int, typer.Option(min=1, max=1024, help="Processor threads of PyTorch.")]
Out = Annotated[Path | None, typer.Option(help="Folder for the table, as Markdown and CSV.")]
Gpu = Annotated[
    bool, typer.Option("--gpu", help="Measure ResNet-50 steps of these shapes on a GPU.")
]
Processes = Annotated[
    str | None,
    typer.Option(help="Compare these numbers of processes on one batch instead, such as 1,2."),
]
Nodes = Annotated[
    str | None,
    typer.Option(help="Measure time and peak memory for these batch sizes, such as 81,162."),
]
Vectors = Annotated[
    str | None,
    typer.Option(help="Measure stores of these numbers of pictures, such as 10000,100000."),
]
Embeddings = Annotated[
    str | None,
    typer.Option(help="Measure retrieval for these numbers of embeddings, such as 10000,60000."),
]
Experiments = Annotated[
    list[str] | None,
    typer.Option(help="Measure the whole step of an experiment instead; may be repeated."),
]
Dim = Annotated[
    int,
    typer.Option(
        min=8, max=65536, help="With --nodes, --vectors or --retrieval: channels of an embedding."
    ),
]


def benchmark(
    overrides: Overrides = None,
    shapes: Annotated[str, typer.Option(help="Batch shapes, comma-separated: A, B, C.")] = "A,B",
    repetitions: Annotated[int, typer.Option(min=1, help="Timed runs of each variant.")] = 7,
    threads: Threads = 1,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    out: Out = None,
    experiment: Experiments = None,
    processes: Processes = None,
    nodes: Nodes = None,
    vectors: Vectors = None,
    retrieval: Embeddings = None,
    gpu: Gpu = False,
    dim: Dim = 512,
) -> None:
    """Compare the dense path with message passing over all edges, or time a training step.

    Example: gcahng benchmark --shapes A,B,C --out docs/results

    Example: gcahng benchmark --experiment paper/cub_resnet50 --device cuda

    Example: gcahng benchmark --processes 1,2 --shapes A,C

    Example: gcahng benchmark --nodes 81,162,324 --dim 128 --processes 1,2

    Example: gcahng benchmark --vectors 10000,100000

    Example: gcahng benchmark --retrieval 10000,60000

    Example: gcahng benchmark --gpu --shapes A,B,C
    """
    _check_settings(out, overrides, experiment)
    _check_together(experiment, vectors, retrieval, gpu, nodes, processes)
    # The profiler that counts memory logs every start and stop; it reads this when torch is
    # imported.
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")
    names = [name.strip() for name in shapes.split(",")]
    if experiment:
        from gcahng.benchmark.step_cost import run_step_cost

        run_step_cost(experiment, overrides or [], repetitions, threads, out, console, device)
    elif vectors:
        from gcahng.benchmark.search import run_search

        run_search(vectors, dim, threads, out, console)
    elif retrieval:
        from gcahng.benchmark.retrieval import run_retrieval

        run_retrieval(retrieval, dim, repetitions, threads, out, console, device)
    elif gpu:
        from gcahng.benchmark.gpu import run_gpu

        run_gpu(names, repetitions, out, console)
    elif nodes:
        from gcahng.benchmark.scaling import run_scaling

        run_scaling(nodes, processes, dim, repetitions, threads, out, console, device)
    elif processes:
        from gcahng.benchmark.processes import run_processes

        run_processes(processes, names, repetitions, threads, out, console, device)
    else:
        from gcahng.benchmark.paths import run_benchmark

        run_benchmark(names, repetitions, threads, out, console, device)


def _check_settings(
    out: Path | None, overrides: list[str] | None, experiment: list[str] | None
) -> None:
    from gcahng.files import check_folder

    check_folder(out, "--out")
    if overrides and not experiment:
        raise ValueError(f"{overrides[0]!r} is a setting of an experiment: add --experiment NAME")


def _check_together(*values: object) -> None:
    """Refuse two options that say what to measure, except for --nodes and --processes."""
    options = ("--experiment", "--vectors", "--retrieval", "--gpu", "--nodes", "--processes")
    given = [option for option, value in zip(options, values, strict=True) if value]
    if len(given) > 1 and given != ["--nodes", "--processes"]:
        raise ValueError(f"{given[0]} does not go together with {given[1]}")
