"""The command line: `python -m gcahng VERB`, installed as `gcahng`."""

import os
import sys
import warnings
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
data_app = typer.Typer(
    help="Look at and check data sets.", no_args_is_help=True, rich_markup_mode=None
)
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
Root = Annotated[Path | None, typer.Option(help="Folder of all data sets, or the data set's own.")]
DataSettings = Annotated[
    list[str] | None, typer.Argument(help="The data set's arguments, each key=value.")
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
    from gcahng.commands.train import resume_run, start_run

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
    root: Annotated[
        Path | None, typer.Option(help="Folder of all data sets; default as in training.")
    ] = None,
) -> None:
    """Measure retrieval with a trained embedder.

    Example: gcahng evaluate runs/quickstart-seed0
    """
    from gcahng.commands.terminal import counting_bar
    from gcahng.config import with_data_root
    from gcahng.evaluation.evaluate import evaluate as measure
    from gcahng.reports.batch import open_plain
    from gcahng.reports.result_table import figure_columns
    from gcahng.reports.tables import results_table
    from gcahng.runs.loading import load_run

    loaded = load_run(source, last=last)
    config = loaded.config if root is None else with_data_root(loaded.config, root)
    dataset = open_plain(config, split)
    with counting_bar("embed", console) as progress:
        figures = measure(loaded.embedder, dataset, config, progress)
    epoch = "" if loaded.epoch is None else f", epoch {loaded.epoch}"
    console.print(f"{loaded.path}{epoch}; {split} split of {dataset.name}, %", soft_wrap=True)
    console.print(results_table([figures], figure_columns(figures)))


@app.command("import-checkpoint")
def import_checkpoint(
    checkpoint: Annotated[Path, typer.Argument(help="A published .pth file.")],
    overrides: Overrides = None,
    config: Annotated[
        str | None,
        typer.Option(help="Its experiment; default: the published set-up that it fits."),
    ] = None,
    run: Annotated[
        Path | None, typer.Option(help="Run folder; default OUTPUT/NAME-published.")
    ] = None,
) -> None:
    """Make a run of a checkpoint that the method's authors published.

    Example: gcahng import-checkpoint bestR_1.pth data.root=/data
    """
    from gcahng.runs.published import import_checkpoint as make_run

    settings, folder = make_run(checkpoint, run, config, overrides or [])
    whole = settings.generator is not None and settings.generator.name == "gca_hng"
    parts = "embedder, graph and classifier" if whole else "embedder alone"
    console.print(
        f"{folder.path}: {settings.name}, {parts}\nmeasure it with: gcahng evaluate {folder.path}",
        soft_wrap=True,
        highlight=False,
    )


@app.command("export-checkpoint")
def export_checkpoint(
    source: Annotated[Path, typer.Argument(help="A run folder or a checkpoint file.")],
    target: Annotated[Path, typer.Argument(help="The .pth file to write.")],
    last: Annotated[
        bool, typer.Option("--last", help="The run's last epoch, not its best.")
    ] = False,
) -> None:
    """Write a run's model in the layout of the published checkpoints.

    Example: gcahng export-checkpoint runs/cub_resnet50-seed0 cub_resnet50.pth
    """
    from gcahng.runs.published import export_checkpoint as write

    keys = write(source, target, last=last)
    console.print(f"wrote {target}: {len(keys)} keys", soft_wrap=True, highlight=False)


@app.command()
def ablate(
    grid: Annotated[str, typer.Argument(help="A grid's YAML file, or the name of a packaged one.")],
    seeds: Annotated[
        int | None, typer.Option(min=1, help="How many seeds; default as the grid says.")
    ] = None,
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Runs at a time; default as many as fill the cores.")
    ] = None,
    only: Annotated[
        list[str] | None, typer.Option(help="A cell to train, with those it needs; repeatable.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the results; default the runs' own.")
    ] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Delete the runs first.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List the cells, train none.")] = False,
) -> None:
    """Train a grid of experiments over seeds; compare them in a table and a plot.

    What has finished is not trained again, and what was interrupted goes on.

    Example: gcahng ablate ablations/generators --seeds 5 --out docs/results
    """
    from gcahng.ablation import read_grid, run_grid, show_grid

    read = read_grid(grid, seeds)
    if dry_run:
        show_grid(read, console)
    elif not run_grid(read, console, only or [], jobs, out, fresh):
        raise typer.Exit(1)


@app.command()
def visualize(
    source: Annotated[Path, typer.Argument(help="A run folder or a checkpoint file.")],
    split: Annotated[str, typer.Option(help="Which split: train, val or test.")] = "test",
    batch: Annotated[int, typer.Option(min=0, help="Which batch of it.")] = 0,
    classes: Annotated[
        int | None, typer.Option(min=2, help="Classes in the batch; default as in training.")
    ] = None,
    samples: Annotated[
        int | None, typer.Option(min=2, help="Images of each; default as in training.")
    ] = None,
    layer: Annotated[
        int | None,
        typer.Option(min=1, help="Draw this layer's attention, not the mean coefficients."),
    ] = None,
    head: Annotated[
        int | None, typer.Option(min=1, help="Of one head; default the mean of all.")
    ] = None,
    strongest: Annotated[int, typer.Option(min=1, help="Edges of each node to draw.")] = 3,
    last: Annotated[
        bool, typer.Option("--last", help="The run's last epoch, not its best.")
    ] = False,
    root: Annotated[
        Path | None, typer.Option(help="Folder of all data sets; default as in training.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder to write into; default RUN/visualize.")
    ] = None,
    export: Annotated[
        list[str] | None, typer.Option(help="Write the graph as graphml or gexf; repeatable.")
    ] = None,
    tensorboard: Annotated[
        bool, typer.Option("--tensorboard", help="Put figures and embeddings into TensorBoard.")
    ] = False,
) -> None:
    """Draw what a run's graph learned on a batch, and where the negatives land.

    Example: gcahng visualize runs/quickstart-seed0 --classes 27 --samples 3
    """
    from gcahng.reports.batch_pictures import Selection, visualize_run

    selection = Selection(split, batch, classes, samples, layer, head, strongest)
    visualize_run(
        source,
        selection,
        console,
        last=last,
        root=root,
        out=out,
        export=export or [],
        tensorboard=tensorboard,
    )


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
    from gcahng.commands.demo import run_demo

    run_demo(seeds, out, console)


@app.command()
def benchmark(
    overrides: Annotated[
        list[str] | None, typer.Argument(help="With --experiment: settings, each key.path=value.")
    ] = None,
    shapes: Annotated[str, typer.Option(help="Batch shapes, comma-separated: A, B, C.")] = "A,B",
    repetitions: Annotated[int, typer.Option(min=1, help="Timed runs of each variant.")] = 7,
    threads: Annotated[int, typer.Option(min=1, help="Processor threads of PyTorch.")] = 1,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    out: Annotated[
        Path | None, typer.Option(help="Folder for the table, as Markdown and CSV.")
    ] = None,
    experiment: Annotated[
        list[str] | None,
        typer.Option(help="Measure the whole step of an experiment instead; may be repeated."),
    ] = None,
) -> None:
    """Time the dense path beside message passing over all edges, or a step part by part.

    Example: gcahng benchmark --shapes A,B,C --out docs/results

    Example: gcahng benchmark --experiment paper/cub_resnet50 --device cuda
    """
    # The profiler that counts memory reports its own doings; it reads this when torch is imported.
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")
    if experiment:
        from gcahng.benchmark.step_cost import run_step_cost

        run_step_cost(experiment, overrides or [], repetitions, threads, out, console, device)
        return
    if overrides:
        raise ValueError(f"{overrides[0]!r} is a setting of an experiment: name it, --experiment")
    from gcahng.benchmark.paths import run_benchmark

    names = [name.strip() for name in shapes.split(",")]
    run_benchmark(names, repetitions, threads, out, console, device)


@data_app.command("show")
def show(
    name: Annotated[str, typer.Argument(help="A data set, such as glyphs.")],
    settings: DataSettings = None,
    split: Annotated[str, typer.Option(help="Which split.")] = "train",
    root: Root = None,
    out: Annotated[Path | None, typer.Option(help="PNG to write; default NAME-SPLIT.png.")] = None,
    classes: Annotated[int, typer.Option(min=1, help="Rows.")] = 20,
    seed: Annotated[int, typer.Option(min=0, help="Which classes and images.")] = 0,
) -> None:
    """Write a contact sheet: a row of images for each of some classes.

    Example: gcahng data show glyphs --split test
    """
    from gcahng.config import default_root, parse_settings
    from gcahng.data import build_dataset, contact_sheet
    from gcahng.files import atomic_write

    dataset = build_dataset(
        name, split, (root or default_root()).expanduser(), **parse_settings(settings or [])
    )
    target = out or Path(f"{name}-{split}.png")
    with atomic_write(target) as temporary:
        contact_sheet(dataset, classes=classes, seed=seed).save(temporary, format="PNG")
    console.print(f"{dataset}\nwrote {target}", highlight=False)


@data_app.command("verify")
def verify(
    name: Annotated[str, typer.Argument(help="cub, cars, sop, inshop, folder or csv.")],
    settings: DataSettings = None,
    root: Root = None,
    download: Annotated[
        bool, typer.Option("--download", help="Fetch it first where that is openly possible.")
    ] = False,
) -> None:
    """Check a data set to its last file: counts, missing and unreadable files, classes.

    Example: gcahng data verify cub --root /data --download

    Example: gcahng data verify folder --root photos test_share=0.3
    """
    from gcahng.commands.data import check_data_set
    from gcahng.config import default_root, parse_settings

    sound = check_data_set(
        name,
        (root or default_root()).expanduser(),
        download,
        parse_settings(settings or []),
        console,
    )
    if not sound:
        raise typer.Exit(1)


def main() -> None:
    """Run the command line; errors that a user can mend are one sentence and exit status 1.

    With GCAHNG_DEBUG set in the environment they show their traceback.
    """
    warnings.formatwarning = lambda message, *_: f"warning: {message}\n"
    try:
        app()
    except USER_ERRORS as error:
        if os.environ.get("GCAHNG_DEBUG"):
            raise
        print(f"error: {_sentence(error)}", file=sys.stderr)
        sys.exit(1)


def _sentence(error: BaseException) -> str:
    """The message of an error; the system's own without its number.

    From a loading process it comes wrapped in that process's traceback.
    """
    if "in DataLoader worker process" in str(error):
        return str(error).strip().splitlines()[-1].partition(": ")[2]
    if isinstance(error, OSError) and error.strerror and error.filename:
        return f"{error.strerror}: '{error.filename}'"
    return str(error)
