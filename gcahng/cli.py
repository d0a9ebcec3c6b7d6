"""The command line: `python -m gcahng VERB`, installed as `gcahng`."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

app = typer.Typer(
    help="Deep metric learning with globally correlation-aware hard negatives (GCA-HNG).",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
data_app = typer.Typer(help="Look at data sets.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(data_app, name="data")
console = Console()
if not console.is_terminal:
    # A log has no width; results tables need some.
    console.width = 120

# What a user can mend is said in one sentence; anything else shows its traceback.
USER_ERRORS = (ValueError, OSError, ImportError, ArithmeticError)

Overrides = Annotated[
    list[str] | None, typer.Argument(help="Settings to change, each key.path=value.")
]


@app.command()
def train(
    config: Annotated[
        str | None, typer.Argument(help="A YAML file, or the name of a packaged experiment.")
    ] = None,
    overrides: Overrides = None,
    resume: Annotated[Path | None, typer.Option(help="Run folder to continue.")] = None,
    run: Annotated[
        Path | None, typer.Option(help="Run folder; default OUTPUT/NAME-seedSEED.")
    ] = None,
) -> None:
    """Train one experiment and evaluate it.

    Example: gcahng train quickstart train.epochs=5 seed=1
    """
    from gcahng.train import resume_run, start_run

    if resume is not None:
        if config is not None or run is not None:
            raise ValueError("--resume takes a run folder alone: no config, settings or --run")
        resume_run(resume, console)
    elif config is None:
        raise ValueError("name a config to train, or a run to continue with --resume")
    else:
        start_run(config, overrides or [], run, console)


@app.command()
def evaluate(
    source: Annotated[Path, typer.Argument(help="A run folder or a checkpoint file.")],
    last: Annotated[
        bool, typer.Option("--last", help="The run's last epoch, not its best.")
    ] = False,
    split: Annotated[str, typer.Option(help="Which split: test, val or another.")] = "test",
) -> None:
    """Measure retrieval with a trained embedder.

    Example: gcahng evaluate runs/quickstart-seed0
    """
    from gcahng.build import build_splits, open_split
    from gcahng.evaluation import evaluate as measure
    from gcahng.loading import load_run
    from gcahng.results import figure_columns
    from gcahng.tables import results_table

    loaded = load_run(source, last=last)
    if split == "val":
        dataset = build_splits(loaded.config).validation
        if dataset is None:
            raise ValueError("data.validation is 0 in this run: it has no split 'val'")
    else:
        dataset = open_split(loaded.config, split, augment=False)
    figures = measure(loaded.embedder, dataset, loaded.config)
    epoch = "" if loaded.epoch is None else f", epoch {loaded.epoch}"
    console.print(f"{loaded.path}{epoch}; {split} split of {dataset.name}, %", soft_wrap=True)
    console.print(results_table([figures], figure_columns(figures)))


@app.command()
def demo(
    seeds: Annotated[int, typer.Option(min=1, help="How many seeds, from 0.")] = 1,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for a comparison over the seeds, as Markdown and CSV."),
    ] = None,
) -> None:
    """Train the quickstart recipes side by side and draw their results.

    Example: gcahng demo --seeds 5 --out docs/results
    """
    from gcahng.demo import run_demo

    run_demo(seeds, out, console)


@app.command()
def benchmark(
    shapes: Annotated[str, typer.Option(help="Batch shapes, comma-separated: A, B, C.")] = "A,B",
    repetitions: Annotated[int, typer.Option(min=1, help="Timed runs of each variant.")] = 7,
    threads: Annotated[int, typer.Option(min=1, help="Processor threads of PyTorch.")] = 1,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    out: Annotated[
        Path | None, typer.Option(help="Folder for the table, as Markdown and CSV.")
    ] = None,
) -> None:
    """Time the dense path beside message passing over all edges.

    Example: gcahng benchmark --shapes A,B,C --out docs/results
    """
    # The profiler that counts memory reports its own doings; it reads this when torch is imported.
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")
    from gcahng.benchmark import run_benchmark

    names = [name.strip() for name in shapes.split(",")]
    run_benchmark(names, repetitions, threads, out, console, device)


@data_app.command("show")
def show(
    name: Annotated[str, typer.Argument(help="A data set, such as glyphs.")],
    split: Annotated[str, typer.Option(help="Which split.")] = "train",
    root: Annotated[Path | None, typer.Option(help="Folder of all data sets.")] = None,
    out: Annotated[Path | None, typer.Option(help="PNG to write; default NAME-SPLIT.png.")] = None,
    classes: Annotated[int, typer.Option(min=1, help="Rows.")] = 20,
    seed: Annotated[int, typer.Option(min=0, help="Which classes and images.")] = 0,
) -> None:
    """Write a contact sheet: a row of images for each of some classes.

    Example: gcahng data show glyphs --split test
    """
    from data import build_dataset, contact_sheet
    from gcahng.files import atomic_write

    folder = root or Path(os.environ.get("GCAHNG_DATA") or "datasets")
    dataset = build_dataset(name, split, folder)
    target = out or Path(f"{name}-{split}.png")
    with atomic_write(target) as temporary:
        contact_sheet(dataset, classes=classes, seed=seed).save(temporary, format="PNG")
    console.print(f"{dataset}\nwrote {target}", highlight=False)


def main() -> None:
    """Run the command line; errors that a user can mend are one sentence and exit status 1.

    With GCAHNG_DEBUG set in the environment they show their traceback.
    """
    try:
        app()
    except USER_ERRORS as error:
        if os.environ.get("GCAHNG_DEBUG"):
            raise
        print(f"error: {_sentence(error)}", file=sys.stderr)
        sys.exit(1)


def _sentence(error: BaseException) -> str:
    """The message of an error; the system's own without its number."""
    if isinstance(error, OSError) and error.strerror and error.filename:
        return f"{error.strerror}: '{error.filename}'"
    return str(error)
