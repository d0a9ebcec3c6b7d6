"""`gcahng train` and `finish`: start, continue or finish a run, evaluate it, write its report."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gcahng.commands.options import Overrides, Root, Trust
from gcahng.commands.terminal import console, loading

if TYPE_CHECKING:
    from gcahng.config import ExperimentConfig
    from gcahng.runs.folder import RunFolder

AUTO = "auto"


def train(
    config: Annotated[str | None, typer.Argument(help="A YAML file, or a packaged name.")] = None,
    overrides: Overrides = None,
    resume: Annotated[
        str | None,
        typer.Option(
            help="Run folder to continue; 'auto' with a config: continue its run, or start it."
        ),
    ] = None,
    run: Annotated[Path | None, typer.Option(help="Folder; default OUTPUT/NAME-seedSEED.")] = None,
    report: Annotated[bool, typer.Option(help="Write report.html at the end.")] = True,
    trust: Trust = False,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Only print sizes, a step, and the run's time and memory."),
    ] = False,
) -> None:
    """Train one experiment and evaluate it.

    Example: gcahng train quickstart train.epochs=5 seed=1
    """
    if resume is not None and resume != AUTO:
        if run is not None or (config is not None and "=" not in config):
            raise ValueError("--resume takes a run folder and settings: no config and no --run")
        if dry_run:
            raise ValueError("--dry-run is for a new run: name its config, without --resume RUN")
        changes = [*([] if config is None else [config]), *(overrides or [])]
        with loading():
            from gcahng.commands.run import resume_run
            from gcahng.runs.folder import RunFolder
        resume_run(RunFolder(Path(resume)), changes, trust=trust, report=report)
        return
    if config is None:
        raise ValueError("name a config to train, or a run to continue with --resume")
    from gcahng.builders.settings import load_checked

    settings = load_checked(config, overrides or [])
    with loading():
        from gcahng.commands.run import start_or_resume_run, start_run
        from gcahng.runs.folder import RunFolder, default_folder
    folder = RunFolder(run or default_folder(settings))
    if dry_run:
        _try_run(settings, folder)
        return
    (start_or_resume_run if resume == AUTO else start_run)(settings, folder, report)


def finish(
    run: Annotated[Path, typer.Argument(help="The folder of a finished run.")],
    root: Root = None,
    trust: Trust = False,
) -> None:
    """Replace the last layer of a finished run by one in closed form, and measure it again.

    As a training with embedder.finish=whitening does at its end; the kept epoch stays.

    Example: gcahng finish runs/photos-seed0
    """
    with loading():
        from gcahng.commands.run import finish_run
        from gcahng.runs.folder import RunFolder

    finish_run(RunFolder(run), root, trust=trust)


def _try_run(config: "ExperimentConfig", folder: "RunFolder") -> None:
    """Print the sizes of an experiment, one step of it, and time and memory of a run."""
    from gcahng.builders.settings import adopt_image_settings
    from gcahng.reports.tables import Column, results_table
    from gcahng.training.dry_run import dry_run
    from gcahng.training.loggers import build_loggers
    from gcahng.training.measure_step import median_times

    # Whether they can be built: nothing is written before they start.
    build_loggers(config, folder)
    found = dry_run(adopt_image_settings(config))
    columns = [Column("split", "split"), *(Column(n, n, ",d") for n in ("classes", "images"))]
    rows = [
        {"split": name, "classes": classes, "images": images}
        for name, (classes, images) in found.splits.items()
    ]
    console.print(results_table(rows, columns))
    lines, step = [], found.step
    if step is not None:
        count, *shape = step.batch
        losses = ", ".join(f"{name} {value:.4g}" for name, value in step.losses.items())
        what = "of this process" if found.device.type == "cpu" else f"allocated on {found.device}"
        lines = [
            f"one step: {count} images {shape}, {median_times(step.step).seconds:.3g} s, and "
            f"{step.data_seconds:.3g} s to load them; {losses}",
            f"memory: {step.peak_mib:,.0f} MiB {what}",
        ]
    parts = ", ".join(f"{name} {duration(value)}" for name, value in found.costs.items())
    several = f"; by one process, and {found.processes} share it" if found.processes > 1 else ""
    lines.append(
        f"the run: {config.train.epochs} epochs of {found.steps} steps, about "
        f"{duration(sum(found.costs.values()))} on {found.device} ({parts}){several}; an estimate, "
        "without ranking and writing files"
    )
    console.print("\n".join([*lines, f"nothing was written to '{folder.path}'"]), soft_wrap=True)


def duration(seconds: float) -> str:
    """Seconds in the unit that fits.

    >>> duration(3.21), duration(75), duration(600), duration(9000)
    ('3.2 s', '75 s', '10 min', '2.5 h')
    """
    if seconds < 120:
        return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
