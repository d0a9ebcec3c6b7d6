"""`gcahng benchmark`: time and memory of a training step, under one or several settings."""

import os
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gcahng.commands.terminal import console

if TYPE_CHECKING:
    import torch

    from gcahng.config import ExperimentConfig
    from gcahng.training.experiment import Experiment
    from gcahng.training.measure_step import StepCost

# Unless others are named; their batches and classifiers have different sizes.
EXPERIMENTS = ("paper/cub_resnet50", "paper/sop_resnet50")
# These have, on a CPU, a small backbone and small images: their cost is that of the graph.
SMALL_BACKBONE = (
    "embedder.backbone={name: small_conv, args: {in_channels: 3}}",
    "embedder.freeze=[]",
    "data.transform.train.size=32",
)
COLUMNS = (
    ("experiment", "experiment", "text"),
    ("data", "load batch [s]", "number"),
    ("negatives", "hard negatives [s]", "number"),
    ("step", "step [s]", "number"),
    ("cpu", "CPU [s]", "number"),
    ("speedup", "× faster", "number"),
    ("mib", "peak MiB", "mib"),
    ("steps", "steps/epoch", "integer"),
    ("epochs", "epochs", "integer"),
    ("hours", "hours", "seconds"),
)
NOTES = (
    "Seconds, CPU s (of all threads): medians of interleaved runs in one process, after a warm-up. "
    "Hard negatives: forward and backward of both graph passes alone. Step: the whole training "
    "step without loading. × faster: of the step, against the first setting of the experiment; the "
    "median over the rounds, of CPU seconds with one thread on a CPU, else of seconds.",
    "Peak MiB: of tensors that a step allocates beyond networks and the batch. The networks are "
    " untrained, which does not change the cost of a step.",
    "Hours: steps/epoch × epochs × step, an ESTIMATE: without evaluation, and assuming that other "
    "processes load the data meanwhile.",
)

Overrides = Annotated[
    list[str] | None, typer.Argument(help="Settings of all experiments, each key.path=value.")
]
Experiments = Annotated[
    list[str] | None,
    typer.Option(help="Measure its step; may be repeated. Default: two published set-ups."),
]
Compare = Annotated[
    list[str] | None,
    typer.Option(help="Measure each experiment with this setting too; may be repeated."),
]


def benchmark(
    overrides: Overrides = None,
    experiment: Experiments = None,
    compare: Compare = None,
    gpu: Annotated[bool, typer.Option("--gpu", help="Measure on a GPU.")] = False,
    repetitions: Annotated[int, typer.Option(min=1, help="Timed steps.")] = 7,
    threads: Annotated[int, typer.Option(min=1, max=1024, help="Threads of PyTorch.")] = 1,
    out: Annotated[Path | None, typer.Option(help="Folder for step_cost.md and .csv.")] = None,
) -> None:
    """Time a training step of some experiments, under one or several settings.

    Example: gcahng benchmark --compare generator.args.graph.path=sparse

    Example: gcahng benchmark --experiment photos --compare fabric.precision=bf16-mixed --gpu
    """
    from gcahng.files import check_folder

    check_folder(out, "--out")
    # Torch reads these when it is imported; the profiler that counts memory logs a lot.
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    import torch

    from gcahng.reports.tables import Column, print_table, write_table

    if gpu and not torch.cuda.is_available():
        raise ValueError("--gpu: torch finds no CUDA device on this machine")
    device, small = torch.device("cuda" if gpu else "cpu"), () if gpu else SMALL_BACKBONE
    given = [(name,) for name in experiment or []] or [(name, *small) for name in EXPERIMENTS]
    rows: list[dict[str, Any]] = []
    notes: list[str] = []
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        for name, *settings in given:
            settings += overrides or []
            found, described = _measure(name, settings, compare or [], repetitions, device)
            rows, notes = rows + found, notes + described
    finally:
        torch.set_num_threads(before)
    machine = f"{_processor(device)}, {threads} thread(s), torch {torch.__version__}"
    notes = [f"{machine}, {repetitions} repetitions.", *notes, *NOTES]
    columns = [Column(*column) for column in COLUMNS if compare or column[0] != "speedup"]
    print_table(console, rows, columns, "One training step", notes)
    if out is not None:
        write_table(out / "step_cost", rows, columns, "One training step", notes)


def _measure(
    name: str,
    settings: Sequence[str],
    compare: Sequence[str],
    repetitions: int,
    device: "torch.device",
) -> tuple[list[dict[str, Any]], list[str]]:
    """Measure an experiment as it is and with each setting; return the rows, and what was run."""
    from gcahng.builders.settings import adopt_image_settings
    from gcahng.config import load_config
    from gcahng.training.measure_step import measure_steps, median_ratio

    experiments = {}
    for extra in ([], *([one] for one in compare)):
        config = adopt_image_settings(load_config(name, [*settings, *extra]))
        experiments[", ".join([config.name, *extra])] = _build(config, device)
    costs = measure_steps(experiments, repetitions)
    first, rows, notes = next(iter(costs.values())).step, [], []
    for title, cost in costs.items():
        speedup = median_ratio(first, cost.step, device)
        rows.append(_row(title, experiments[title], cost) | {"speedup": speedup})
        config, images = experiments[title].config, experiments[title].splits.train
        notes.append(
            f"{title}: {config.batch.classes} classes × {config.batch.samples} images "
            f"{cost.batch[1:]}, {config.fabric.precision}, {type(images).__name__}."
        )
    return rows, notes


def _row(title: str, experiment: "Experiment", cost: "StepCost") -> dict[str, Any]:
    from gcahng.training.measure_step import DrawnPhotos, median_times

    config, dataset, step = experiment.config, experiment.splits.train, median_times(cost.step)
    drawn = isinstance(dataset, DrawnPhotos)
    images = _published(config)["train"].images if drawn else len(dataset)
    steps = max(1, images // (config.batch.classes * config.batch.samples))
    return {
        "experiment": title,
        "data": cost.data_seconds,
        "negatives": median_times(cost.negatives).seconds if cost.negatives else None,
        "step": step.seconds,
        "cpu": step.cpu,
        "mib": cost.step_mib,
        "steps": steps,
        "epochs": config.train.epochs,
        "hours": step.seconds * steps * config.train.epochs / 3600,
    }


def _build(config: "ExperimentConfig", device: "torch.device") -> "Experiment":
    """Build an experiment with untrained networks, on artificial images if it has none here."""
    import torch

    from gcahng.builders.images import Splits, open_split, transform_of
    from gcahng.training.experiment import build_experiment
    from gcahng.training.measure_step import DrawnPhotos

    try:
        dataset = open_split(config, "train", augment=True)
    except FileNotFoundError:
        if not (expected := _published(config)):
            raise
        dataset = DrawnPhotos(expected["train"].classes, config.batch.samples)
        dataset.transform = transform_of(config, dataset, augment=True)
    # Images are loaded in this process.
    data = config.data.model_copy(update={"workers": 0})
    embedder = config.embedder.model_copy(update={"warm_start": None})
    here = config.model_copy(update={"data": data, "embedder": embedder})
    torch.manual_seed(config.seed)
    splits = Splits(train=dataset, validation=None, test=dataset)
    return build_experiment(here, device, pretrained=False, splits=splits)


def _published(config: "ExperimentConfig") -> Mapping[str, Any]:
    """Numbers of classes and images by split of a published data set; empty for others."""
    from gcahng.data import DATASETS, PublishedDataset

    dataset = DATASETS.find(config.data.name)
    return dataset.expected if issubclass(dataset, PublishedDataset) else {}


def _processor(device: "torch.device") -> str:
    """Name of the processor."""
    import torch

    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    names = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())
