"""`gcahng train`: start or continue a run, evaluate it, write its report."""

from pathlib import Path
from typing import Annotated

import typer

from gcahng.commands.options import Overrides, Trust
from gcahng.commands.terminal import loading

AUTO = "auto"


def train(
    config: Annotated[
        str | None, typer.Argument(help="A YAML file, or the name of a packaged experiment.")
    ] = None,
    overrides: Overrides = None,
    resume: Annotated[
        str | None,
        typer.Option(
            help="Run folder to continue; 'auto' with a config: continue its run, or start it."
        ),
    ] = None,
    root: Annotated[
        Path | None, typer.Option(help="With --resume: where the data sets are now.")
    ] = None,
    run: Annotated[
        Path | None, typer.Option(help="Run folder; default OUTPUT/NAME-seedSEED.")
    ] = None,
    report: Annotated[
        bool, typer.Option(help="Write report.html at the end; --resume RUN writes it later.")
    ] = True,
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
        _resume(Path(resume), root, changes, trust, report)
        return
    if root is not None:
        raise ValueError("--root goes with --resume RUN; with a config, set data.root=FOLDER")
    if config is None:
        raise ValueError("name a config to train, or a run to continue with --resume")
    from gcahng.builders.settings import load_checked

    settings = load_checked(config, overrides or [])
    with loading():
        from gcahng.commands.dry_run import try_run
        from gcahng.commands.run import start_or_resume_run, start_run
        from gcahng.runs.folder import RunFolder, default_folder
    folder = RunFolder(run or default_folder(settings))
    if dry_run:
        try_run(settings, folder)
        return
    (start_or_resume_run if resume == AUTO else start_run)(settings, folder, report)


def _resume(run: Path, root: Path | None, changes: list[str], trust: bool, report: bool) -> None:
    with loading():
        from gcahng.commands.run import resume_run
        from gcahng.runs.folder import RunFolder
    resume_run(RunFolder(run), root, changes, trust=trust, report=report)
