"""`gcahng visualize`: pictures and an interactive page of one batch of a trained run."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gcahng.commands.options import Last, Root, Source, Trust
from gcahng.commands.terminal import console, loading

if TYPE_CHECKING:
    from gcahng.reports.batch_pictures import Pictures
    from gcahng.runs.folder import RunFolder

# Dots per inch of the files.
RESOLUTION = 130

Out = Annotated[Path | None, typer.Option(help="Folder to write into; default RUN/visualize.")]


def visualize(
    source: Source,
    split: Annotated[str, typer.Option(help="Which split: train, val or test.")] = "test",
    batch: Annotated[int, typer.Option(min=0, help="Which batch of it, from 0.")] = 0,
    classes: Annotated[int | None, typer.Option(min=2, help="Default as in training.")] = None,
    samples: Annotated[
        int | None, typer.Option(min=2, help="Of a class; default as in training.")
    ] = None,
    last: Last = False,
    root: Root = None,
    out: Out = None,
    trust: Trust = False,
) -> None:
    """Draw what a run's graph learned on a batch, and where its negatives are.

    Example: gcahng visualize runs/quickstart-seed0 --classes 27 --samples 3
    """
    from gcahng.files import check_folder
    from gcahng.runs.folder import RunFolder

    check_folder(out, "--out")
    within = RunFolder(source.parent.parent)
    of_run = source.parent == within.last.parent and within.config.is_file()
    folder = within if of_run else None if source.is_file() else RunFolder(source)
    if folder is None and out is None:
        raise ValueError(
            f"'{source}' is not in a run folder: choose a folder for the pictures with --out"
        )
    with loading():
        from gcahng.config import dump_config
        from gcahng.config.experiment import with_data_root
        from gcahng.reports.batch_pictures import draw_batch
        from gcahng.runs.loading import load_run

    run = load_run(source, last=last, trust=trust, finished=False)
    if root is not None:
        run = replace(run, settings=dump_config(with_data_root(run.config, root)))
    pictures = draw_batch(run, split, batch, classes, samples)
    if run.epoch == 0 and not last and pictures.graph.get("coefficients") is not None:
        console.print("note: epoch 0, an untrained graph, is kept; --last draws the last epoch")
    if out is not None:
        _write(pictures, out, None)
    elif folder is not None:
        _write(pictures, folder.visualize, folder)


def _write(pictures: "Pictures", target: Path, folder: "RunFolder | None") -> None:
    """Write the pictures and the interactive page, in a run's folder with a link to its report."""
    from gcahng.files import atomic_write, write_text
    from gcahng.graph.visualize import graph_page
    from gcahng.graph.visualize.learned import saturation
    from gcahng.reports.batch_pictures import TITLES

    links = {TITLES[name]: f"{name}.png" for name in pictures.figures}
    if folder is not None and folder.report.is_file():
        links["Report of the run"] = f"../{folder.report.name}"
    # Everything that may fail comes before the first file is written.
    page = graph_page(pictures.graph, title=pictures.title, links=links)
    for name, figure in pictures.figures.items():
        with atomic_write(target / f"{name}.png") as temporary:
            figure.savefig(temporary, dpi=RESOLUTION)
    if folder is not None:
        # A picture that an earlier call drew of another batch must not stay beside this one's.
        for name in pictures.missing:
            (target / f"{name}.png").unlink(missing_ok=True)
    write_text(target / "graph.html", page)
    lines = [pictures.title]
    if pictures.graph.get("coefficients") is not None:
        lines += filter(None, [saturation(pictures.graph)])
    lines += [f"  {target / name}.png: {TITLES[name]}" for name in pictures.figures]
    lines += [f"  left out {name}.png: {reason}" for name, reason in pictures.missing.items()]
    lines.append(f"  {target / 'graph.html'}: the batch graph as an interactive page")
    console.print("\n".join(lines), soft_wrap=True)
