"""`gcahng train`: start or continue a run, evaluate it, write its report."""

from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gcahng.commands.options import Overrides
from gcahng.commands.terminal import TerminalDisplay, console, training_display

if TYPE_CHECKING:
    from gcahng.config import ExperimentConfig
    from gcahng.runs.folder import RunFolder
    from gcahng.training.trainer import Trainer


def train(
    config: Annotated[
        str | None, typer.Argument(help="A YAML file, or the name of a packaged experiment.")
    ] = None,
    overrides: Overrides = None,
    resume: Annotated[Path | None, typer.Option(help="Run folder to continue.")] = None,
    root: Annotated[
        Path | None, typer.Option(help="With --resume: where the data sets are now.")
    ] = None,
    run: Annotated[
        Path | None, typer.Option(help="Run folder; default OUTPUT/NAME-seedSEED.")
    ] = None,
) -> None:
    """Train one experiment and evaluate it.

    Example: gcahng train quickstart train.epochs=5 seed=1
    """
    from gcahng.config import load_config
    from gcahng.runs.folder import RunFolder

    if resume is not None:
        if config is not None or run is not None:
            raise ValueError("--resume takes a run folder alone: no config, settings or --run")
        resume_run(RunFolder(resume), root)
    elif root is not None:
        raise ValueError("--root goes with --resume; for a new run, set data.root=FOLDER")
    elif config is None:
        raise ValueError("name a config to train, or a run to continue with --resume")
    else:
        settings = load_config(config, overrides or [])
        start_run(settings, RunFolder(run or default_folder(settings)))


def default_folder(config: "ExperimentConfig") -> Path:
    """`<output>/<name>-seed<seed>`."""
    return Path(config.output) / f"{config.name}-seed{config.seed}"


def start_run(config: "ExperimentConfig", folder: "RunFolder") -> None:
    """Train a configuration in a new run folder.

    Raises:
        FileExistsError: If the folder holds a run already.
        ValueError: If the settings do not fit the data or the machine.
    """
    from gcahng.builders.image_settings import adopt_image_settings
    from gcahng.runs.lock import exclusive_lock
    from gcahng.training.trainer import Trainer

    folder.check_free()
    config = adopt_image_settings(config)
    with exclusive_lock(folder.path), _display(config) as display:
        trainer = Trainer.set_up(config, folder, display)
        folder.create(config)
        _fit(trainer)
        _report(trainer)
    _show(folder)


def resume_run(folder: "RunFolder", root: Path | None = None) -> None:
    """Continue a run after its last whole epoch.

    Args:
        folder: The run.
        root: The folder of all data sets, if it is not that of the settings any more.

    Raises:
        FileNotFoundError: If there is no run in the folder.
        ValueError: If the run holds an imported model.
    """
    from gcahng.config import read_config, with_data_root
    from gcahng.runs.lock import exclusive_lock
    from gcahng.training.trainer import Trainer

    if not folder.config.is_file():
        raise FileNotFoundError(f"no run to resume in '{folder.path}': it has no config.yaml")
    folder.check_trained_here()
    config = read_config(folder.config)
    if root is not None:
        config = with_data_root(config, root)
    # A run that was stopped within its first epoch starts again.
    continues = folder.last.exists()
    with exclusive_lock(folder.path), _display(config) as display:
        trainer = Trainer.set_up(config, folder, display, pretrained=not continues)
        if continues:
            trainer.resume()
        folder.write_config(config)
        _fit(trainer)
        _report(trainer)
    _show(folder)


def _display(config: "ExperimentConfig") -> AbstractContextManager[TerminalDisplay]:
    title = f"{config.name} seed {config.seed}"
    return training_display(title, config.train.epochs, config.eval.select)


def _note_splits(trainer: "Trainer") -> None:
    """Say before the training if test classes are trained on, and what validation is done on."""
    from gcahng.runs.record import closed_set_note

    splits = trainer.experiment.splits
    shared = len(splits.shared_classes)
    closed_set = closed_set_note(shared, splits.test.num_classes) if shared else None
    for note in (closed_set, splits.validation_note):
        if note is not None:
            console.print(f"note: {note}", soft_wrap=True, highlight=False)


def _fit(trainer: "Trainer") -> None:
    """Train to the end; Ctrl-C says how to continue."""
    _note_splits(trainer)
    try:
        trainer.fit()
    except KeyboardInterrupt:
        console.print(
            f"interrupted after epoch {trainer.progress.whole_epochs}; continue with: "
            f"gcahng train --resume {trainer.folder.path}",
            soft_wrap=True,
        )
        raise SystemExit(130) from None


def _report(trainer: "Trainer") -> None:
    """Write the run's report."""
    from gcahng.reports.run_report import report_run

    report_run(trainer.folder, trainer.evaluated_run())


def _show(folder: "RunFolder") -> None:
    """Print a run's figures and where its report is."""
    from gcahng.reports.result_table import result_columns, result_rows
    from gcahng.reports.tables import results_table
    from gcahng.runs.record import read_record, selection_note

    record = read_record(folder, folder.path.name)
    console.print(results_table(result_rows(record), result_columns(record), "Test split, %"))
    console.print(selection_note([record]), soft_wrap=True, highlight=False)
    console.print(f"report: {folder.report}", soft_wrap=True, highlight=False)
