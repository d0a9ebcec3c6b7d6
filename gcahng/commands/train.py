"""`gcahng train`: start or continue a run, evaluate it, write its report."""

import sys
import warnings
from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from gcahng.commands.options import Overrides, Trust
from gcahng.commands.terminal import TerminalDisplay, console, training_display

AUTO = "auto"

if TYPE_CHECKING:
    from gcahng.config import ExperimentConfig
    from gcahng.runs.folder import RunFolder
    from gcahng.training.trainer import Trainer


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
    from gcahng.commands.dry_run import try_run
    from gcahng.config import load_config
    from gcahng.runs.folder import RunFolder

    if resume is not None and resume != AUTO:
        if run is not None or (config is not None and "=" not in config):
            raise ValueError("--resume takes a run folder and settings: no config and no --run")
        if dry_run:
            raise ValueError("--dry-run is for a new run: name its config, without --resume RUN")
        changes = [*([] if config is None else [config]), *(overrides or [])]
        resume_run(RunFolder(Path(resume)), root, changes, trust=trust, report=report)
        return
    if root is not None:
        raise ValueError("--root goes with --resume RUN; with a config, set data.root=FOLDER")
    if config is None:
        raise ValueError("name a config to train, or a run to continue with --resume")
    settings = load_config(config, overrides or [])
    folder = RunFolder(run or default_folder(settings))
    if dry_run:
        try_run(settings, folder)
    elif resume == AUTO:
        start_or_resume_run(settings, folder, report)
    else:
        start_run(settings, folder, report)


def default_folder(config: "ExperimentConfig") -> Path:
    """`<output>/<name>-seed<seed>`."""
    return Path(config.output) / f"{config.name}-seed{config.seed}"


def start_or_resume_run(
    config: "ExperimentConfig", folder: "RunFolder", report: bool = True
) -> None:
    """Start a run, continue it, or show its figures if it has finished: for requeued jobs.

    Raises:
        FileExistsError: If the folder holds something else.
        ValueError: If the run in the folder has other settings, see `changed_experiment`.
    """
    from gcahng.builders.image_settings import adopt_image_settings
    from gcahng.config import changed_experiment, read_config, with_runtime_settings
    from gcahng.jobs.place import is_first

    if not (folder.begun or folder.best.exists()):
        start_run(config, folder, report)
        return
    there = read_config(folder.config)
    given = adopt_image_settings(config)
    if changed := changed_experiment(given, there, ignore_limits=True):
        raise ValueError(
            f"'{folder.path}' holds a run with other settings ({', '.join(changed)}): choose "
            "another folder with --run, or another 'name' or 'seed'"
        )
    # Written last.
    last = folder.report if report else folder.model
    if not last.is_file():
        folder.check_trained_here()
        _run(with_runtime_settings(there, config), folder, new=False, report=report)
    elif is_first(config.fabric.num_nodes):
        _show(config, folder)


def start_run(config: "ExperimentConfig", folder: "RunFolder", report: bool = True) -> None:
    """Train a configuration in a new run folder.

    Raises:
        FileExistsError: If the folder holds a run already.
        ValueError: If the settings do not fit the data or the machine.
    """
    from gcahng.builders.image_settings import adopt_image_settings
    from gcahng.jobs.place import is_first

    if is_first(config.fabric.num_nodes):
        folder.check_free()
    _run(adopt_image_settings(config), folder, new=True, report=report)


def resume_run(
    folder: "RunFolder",
    root: Path | None = None,
    changes: Sequence[str] = (),
    *,
    trust: bool = False,
    report: bool = True,
) -> None:
    """Continue a run after the last state that it saved.

    Args:
        folder: The run.
        root: The folder of all data sets, if it is not that of the settings any more.
        changes: `key.path=value` settings that do not change what the training computes, such as
            the device, or when it ends early.
        trust: Whether classes that its settings name as `module.path:ClassName` may be imported.
        report: Whether to write the run's report; one that has finished gets it now.

    Raises:
        FileNotFoundError: If there is no run in the folder.
        ValueError: If the run holds an imported model, or a change is of the experiment itself.
    """
    from gcahng.config import (
        changed_experiment,
        load_config,
        with_data_root,
        with_runtime_settings,
    )

    config = _settings_of(folder, trust)
    if changes:
        given = load_config(folder.config, changes)
        if changed := changed_experiment(config, given, ignore_limits=True):
            raise ValueError(
                f"--resume: {', '.join(changed)} would change the experiment: start a new run"
            )
        config = with_runtime_settings(config, given)
    if root is not None:
        config = with_data_root(config, root)
    _run(config, folder, new=False, report=report)


def finish_run(folder: "RunFolder", root: Path | None = None, *, trust: bool = False) -> None:
    """Replace the last layer of a finished run by one in closed form, measure and report it.

    Args:
        folder: The run.
        root: The folder of all data sets, if it is not that of the settings any more.
        trust: As in `resume_run`.

    Raises:
        FileNotFoundError: If there is no run in the folder.
        ValueError: If it has not finished, has such a last layer, or trains no backbone.
    """
    from gcahng.config import load_config, with_data_root

    config = _settings_of(folder, trust)
    if not folder.results.is_file():
        raise ValueError(f"'{folder.path}' has not finished: {_go_on(config, folder)}")
    if config.embedder.finish is not None:
        again = _continuing(config, folder)
        raise ValueError(
            f"'{folder.path}' has a last layer in closed form already; if that was interrupted, "
            f"continue with: {again}"
        )
    config = load_config(folder.config, ["embedder.finish=whitening"])
    _run(config if root is None else with_data_root(config, root), folder, new=False, report=True)


def _settings_of(folder: "RunFolder", trust: bool) -> "ExperimentConfig":
    """Read the settings of a run that was trained in its folder."""
    from gcahng.config import read_config
    from gcahng.runs.loading import refuse_user_classes

    if not folder.config.is_file():
        raise FileNotFoundError(f"no run in '{folder.path}': it has no config.yaml")
    folder.check_trained_here()
    config = read_config(folder.config)
    if not trust:
        refuse_user_classes(folder.config, config)
    return config


def _run(config: "ExperimentConfig", folder: "RunFolder", new: bool, report: bool) -> None:
    """Train and report; if a signal stops it, at any time, say how to go on.

    Raises:
        SystemExit: If it is stopped.
    """
    from gcahng.jobs.place import is_first
    from gcahng.jobs.process import Stopped, heed_signals
    from gcahng.jobs.together import train_together
    from gcahng.training.fabric import number_of_devices

    try:
        with heed_signals():
            status = train_together(number_of_devices(config.fabric), config.fabric.num_nodes)
            if status is None:
                _train_and_report(config, folder, new, report)
            elif status:
                raise SystemExit(status)
    except Stopped as stopped:
        if is_first(config.fabric.num_nodes):
            print(f"{stopped}; {_go_on(config, folder)}", file=sys.stderr)
        raise SystemExit(stopped.status) from None


def _train_and_report(
    config: "ExperimentConfig", folder: "RunFolder", new: bool, report: bool
) -> None:
    """Train to the end in a locked folder, by one process or by several, and report."""
    from gcahng.jobs.claim import exclusive_lock, keep_claim
    from gcahng.jobs.place import is_first
    from gcahng.jobs.together import explain_once
    from gcahng.processes import leave
    from gcahng.training.fabric import build_fabric, check_same_training, group_of
    from gcahng.training.trainer import Trainer

    first = is_first(config.fabric.num_nodes)
    # A run that was stopped before its first checkpoint starts again.
    continues = not new and folder.begun
    with ExitStack() as stack:
        if first:
            stack.enter_context(keep_claim())
            stack.enter_context(exclusive_lock(folder.path))
        else:
            warnings.simplefilter("ignore")
        display = stack.enter_context(_display(config, first))
        fabric = build_fabric(config, folder)
        group = group_of(fabric)
        stack.enter_context(explain_once(group))
        check_same_training(config, folder, continues, group)
        trainer = Trainer.set_up(config, folder, display, fabric=fabric, pretrained=not continues)
        if continues:
            trainer.resume()
        if first:
            folder.create(config) if new else folder.write_config(config)
            _note_before(trainer)
        trainer.fit()
        if first and report:
            _report(trainer)
        leave()
    if first:
        _show(config, folder)


def _display(config: "ExperimentConfig", first: bool) -> AbstractContextManager[TerminalDisplay]:
    title = f"{config.name} seed {config.seed}"
    shown = console if first else Console(quiet=True)
    return training_display(title, config.train.epochs, config.eval.select, shown)


def _note_before(trainer: "Trainer") -> None:
    """Say before the training what its figures and its time depend on."""
    from gcahng.runs.record import closed_set_note
    from gcahng.training.embedding import chunk_note
    from gcahng.training.fabric import precision_note

    splits = trainer.experiment.splits
    shared = len(splits.shared_classes)
    closed_set = closed_set_note(shared, splits.test.num_classes) if shared else None
    chunks = chunk_note(trainer.experiment.embedder, trainer.config.batch.chunk)
    precision = precision_note(trainer.config.fabric.precision, trainer.fabric.device)
    for note in (closed_set, splits.validation_note, chunks, precision):
        if note is not None:
            console.print(f"note: {note}", soft_wrap=True, highlight=False)


def _go_on(config: "ExperimentConfig", folder: "RunFolder") -> str:
    """Say how to go on after a stop: before a run has its folder, there is nothing to continue."""
    from gcahng.config import dump_config

    settings = dump_config(config)
    if folder.config.is_file() and folder.config.read_text("utf-8") == settings:
        return f"continue with: {_continuing(config, folder)}"
    return "give the same command again"


def _continuing(config: "ExperimentConfig", folder: "RunFolder") -> str:
    """The command that continues a run."""
    from gcahng.runs.loading import user_classes

    trust = " --trust" if user_classes(config) else ""
    return f"gcahng train --resume {folder.path}{trust}"


def _report(trainer: "Trainer") -> None:
    """Write the run's report."""
    from gcahng.reports.run_report import report_run

    report_run(trainer.folder, trainer.evaluated_run())


def _show(config: "ExperimentConfig", folder: "RunFolder") -> None:
    """Print a run's figures and where its report is, or what writes it."""
    from gcahng.reports.result_table import result_columns, result_rows
    from gcahng.reports.tables import results_table
    from gcahng.runs.record import read_record, selection_note
    from gcahng.runs.verdict import verdict

    record = read_record(folder, folder.path.name)
    console.print(results_table(result_rows(record), result_columns(record), "Test split, %"))
    for sentence in filter(None, (verdict(record), selection_note([record]))):
        console.print(sentence, soft_wrap=True, highlight=False, markup=False)
    there = folder.report.is_file()
    where = folder.report if there else f"not written; {_continuing(config, folder)} writes it"
    console.print(f"report: {where}", soft_wrap=True, highlight=False, markup=False)
