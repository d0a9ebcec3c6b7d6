"""`gcahng benchmark`: time and memory of a training step, under one or several settings."""

import os
import platform
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gcahng.commands.options import Overrides
from gcahng.commands.terminal import console

if TYPE_CHECKING:
    import torch

    from gcahng.config import ExperimentConfig
    from gcahng.training.experiment import Experiment

COLUMNS = (
    ("experiment", "experiment", ""),
    ("data", "load batch [s]", ".4g"),
    ("negatives", "hard negatives [s]", ".4g"),
    ("step", "step [s]", ".4g"),
    ("cpu", "CPU [s]", ".4g"),
    ("speedup", "× faster", ".4g"),
    ("mib", "peak MiB", ".0f"),
)
NOTE = (
    "Seconds, CPU s (of all threads): medians of interleaved runs in one process, after a warm-up. "
    "Hard negatives: forward and backward of both graph passes alone. Step: the whole training "
    "step without loading. × faster: of the step, against the first setting of the experiment; the "
    "median over the rounds, of CPU seconds with one thread on a CPU, else of seconds. Peak MiB: "
    "of tensors that a step allocates beyond networks and the batch. The networks are untrained, "
    "which does not change the cost of a step."
)


def benchmark(
    overrides: Overrides = None,
    experiment: Annotated[
        list[str] | None, typer.Option(help="Measure its step; repeatable. Default quickstart.")
    ] = None,
    compare: Annotated[
        list[str] | None,
        typer.Option(help="Measure each experiment with this setting too; repeatable."),
    ] = None,
    gpu: Annotated[bool, typer.Option("--gpu", help="Measure on a GPU.")] = False,
    repetitions: Annotated[int, typer.Option(min=1, help="Timed steps.")] = 7,
) -> None:
    """Time a training step of some experiments, under one or several settings.

    Example: gcahng benchmark --compare generator.args.graph.path=sparse

    Example: gcahng benchmark --experiment photos --compare fabric.precision=bf16-mixed --gpu
    """
    # Torch reads these when it is imported; the profiler that counts memory logs a lot.
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    import torch

    from gcahng.reports.tables import Column, results_table

    if gpu and not torch.cuda.is_available():
        raise ValueError("--gpu: torch finds no CUDA device on this machine")
    device = torch.device("cuda" if gpu else "cpu")
    processor = torch.cuda.get_device_name(device) if gpu else platform.processor()
    rows: list[dict[str, Any]] = []
    notes = [
        f"{processor or platform.machine()}, {torch.get_num_threads()} thread(s), torch "
        f"{torch.__version__}, {repetitions} repetitions."
    ]
    for name in experiment or ["quickstart"]:
        found, described = _measure(name, overrides or [], compare or [], repetitions, device)
        rows, notes = rows + found, notes + described
    notes.append(NOTE)
    columns = [Column(*column) for column in COLUMNS]
    console.print(results_table(rows, columns, "One training step"))
    console.print("\n".join(notes))


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
    from gcahng.training.measure_step import measure_steps, median_ratio, median_times

    experiments = {}
    for extra in ([], *([one] for one in compare)):
        config = adopt_image_settings(load_config(name, [*settings, *extra]))
        experiments[", ".join([config.name, *extra])] = _build(config, device)
    costs = measure_steps(experiments, repetitions)
    first, rows, notes = next(iter(costs.values())).step, [], []
    for title, cost in costs.items():
        step = median_times(cost.step)
        row = {
            "experiment": title,
            "data": cost.data_seconds,
            "negatives": median_times(cost.negatives).seconds if cost.negatives else None,
            "step": step.seconds,
            "cpu": step.cpu,
            "speedup": median_ratio(first, cost.step, device),
            "mib": cost.step_mib,
        }
        rows.append(row)
        config, images = experiments[title].config, experiments[title].splits.train
        notes.append(
            f"{title}: {config.batch.classes} classes × {config.batch.samples} images "
            f"{cost.batch[1:]}, {config.fabric.precision}, {type(images).__name__}."
        )
    return rows, notes


def _build(config: "ExperimentConfig", device: "torch.device") -> "Experiment":
    """Build an experiment with untrained networks, on drawn images for published data sets."""
    import torch

    from gcahng.builders.images import Splits, open_split, transform_of
    from gcahng.data import DATASETS, PublishedDataset
    from gcahng.training.experiment import build_experiment
    from gcahng.training.measure_step import DrawnPhotos

    try:
        dataset = open_split(config, "train", augment=True)
    except FileNotFoundError:
        published = DATASETS.find(config.data.name)
        if not (issubclass(published, PublishedDataset) and published.expected):
            raise
        dataset = DrawnPhotos(published.expected["train"].classes, config.batch.samples)
        dataset.transform = transform_of(config, augment=True)
    # Images are loaded in this process.
    here = config.changed(data={"workers": 0}, embedder={"warm_start": None})
    torch.manual_seed(config.seed)
    splits = Splits(train=dataset, validation=None, test=dataset)
    return build_experiment(here, device, pretrained=False, splits=splits)
