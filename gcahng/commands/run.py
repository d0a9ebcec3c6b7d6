"""Start, continue and finish runs, for `gcahng train` and `gcahng finish`."""

import sys
import warnings
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from rich.console import Console

from gcahng.builders.settings import adopt_image_settings
from gcahng.commands.terminal import LOSSES, console, training_display
from gcahng.config import ExperimentConfig, dump_config, load_config
from gcahng.config.experiment import changed_experiment, with_data_root, with_runtime_settings
from gcahng.jobs.claim import exclusive_lock, keep_claim
from gcahng.jobs.process import Stopped, heed_signals, is_first
from gcahng.jobs.together import explain_once, train_together
from gcahng.processes import leave
from gcahng.reports.tables import result_columns, result_rows, results_table
from gcahng.runs.folder import RunFolder
from gcahng.runs.loading import refuse_user_classes, user_classes
from gcahng.runs.record import closed_set_note, figure_title, read_record, selection_note
from gcahng.runs.verdict import verdict
from gcahng.training.embed_batch import chunk_note
from gcahng.training.fabric import build_fabric, check_same_training, group_of, number_of_devices
from gcahng.training.trainer import Trainer


def start_run(config: ExperimentConfig, folder: RunFolder, report: bool = True) -> None:
    """Train a configuration in a new run folder."""
    if is_first():
        folder.check_free()
    _run(adopt_image_settings(config), folder, new=True, report=report)


def start_or_resume_run(config: ExperimentConfig, folder: RunFolder, report: bool = True) -> None:
    """Start a run, continue it, or show its figures if it has finished: for requeued jobs."""
    if not (folder.begun or folder.best.exists()):
        start_run(config, folder, report)
        return
    there = folder.read_config()
    if changed := changed_experiment(adopt_image_settings(config), there, ignore_limits=True):
        raise ValueError(
            f"'{folder.path}' holds a run with other settings ({', '.join(changed)}): choose "
            "another folder with --run, or another 'name' or 'seed'"
        )
    last_file = folder.report if report else folder.model
    if not last_file.is_file():
        _run(with_runtime_settings(there, config), folder, new=False, report=report)
    elif is_first():
        _show(config, folder)


def resume_run(
    folder: RunFolder, changes: Sequence[str] = (), *, trust: bool = False, report: bool = True
) -> None:
    """Continue a run after the last state that it saved."""
    config = _read_settings(folder, trust)
    if changes:
        given = load_config(folder.config, changes)
        if changed := changed_experiment(config, given, ignore_limits=True):
            raise ValueError(
                f"--resume: {', '.join(changed)} would change the experiment: start a new run"
            )
        config = with_runtime_settings(config, given)
    _run(config, folder, new=False, report=report)


def finish_run(folder: RunFolder, root: Path | None = None, *, trust: bool = False) -> None:
    """Replace the last layer of a finished run by one in closed form, measure and report it."""
    config = _read_settings(folder, trust)
    again = _continue_command(config, folder)
    if not folder.results.is_file():
        raise ValueError(f"'{folder.path}' has not finished; continue with: {again}")
    if config.embedder.finish is not None:
        raise ValueError(
            f"'{folder.path}' has a last layer in closed form already; if that was interrupted, "
            f"continue with: {again}"
        )
    config = load_config(folder.config, ["embedder.finish=whitening"])
    _run(config if root is None else with_data_root(config, root), folder, new=False, report=True)


def _read_settings(folder: RunFolder, trust: bool) -> ExperimentConfig:
    """Read the settings of a run that was trained in its folder."""
    if not folder.config.is_file():
        raise FileNotFoundError(f"no run in '{folder.path}': it has no config.yaml")
    config = folder.read_config()
    if not trust:
        refuse_user_classes(folder.config, user_classes(config))
    return config


def _run(config: ExperimentConfig, folder: RunFolder, new: bool, report: bool) -> None:
    """Train and report, by one process or several; if a signal stops it, say how to continue."""
    first = is_first()
    try:
        with heed_signals():
            status = train_together(number_of_devices(config.fabric))
            if status is None:
                _train(config, folder, new, report, first)
                if first:
                    _show(config, folder)
            elif status:
                raise SystemExit(status)
    except Stopped as stopped:
        if first:
            # Before a run has its folder, there is nothing to continue.
            settings = folder.config.read_text("utf-8") if folder.config.is_file() else None
            begun = settings == dump_config(config)
            again = f"continue with: {_continue_command(config, folder)}"
            hint = again if begun else "give the same command again"
            print(f"{stopped}; {hint}", file=sys.stderr)
        raise SystemExit(stopped.status) from None


def _train(
    config: ExperimentConfig, folder: RunFolder, new: bool, report: bool, first: bool
) -> None:
    """Train to the end in a locked folder, as one of the processes, and report."""
    # A run that was stopped before its first checkpoint starts again.
    continues = not new and folder.begun
    with ExitStack() as stack:
        if first:
            stack.enter_context(keep_claim())
            stack.enter_context(exclusive_lock(folder.path))
        else:
            warnings.simplefilter("ignore")
        shown = console if first else Console(quiet=True)
        title = f"{config.name} seed {config.seed}"
        split = "test" if config.selects_on_test else "val"
        figure = f"{split} {figure_title(config.eval.select)}"
        bar = training_display(title, config.train.epochs, figure, shown)
        display = stack.enter_context(bar)
        fabric = build_fabric(config, folder)
        group = group_of(fabric)
        stack.enter_context(explain_once(group))
        check_same_training(config, folder, continues, group)
        trainer = Trainer.set_up(config, folder, display, fabric=fabric, pretrained=not continues)
        if continues:
            trainer.resume()
        if first:
            folder.create(config) if new else folder.write_config(config)
            _print_notes(trainer)
        trainer.fit()
        if first and report:
            from gcahng.reports.run_report import report_run  # here, since matplotlib is slow

            report_run(folder, trainer.evaluated_run())
        leave()


def _print_notes(trainer: Trainer) -> None:
    """Say before the training what its figures are, and what they depend on."""
    splits = trainer.experiment.splits
    shared = len(splits.shared_classes)
    closed_set = closed_set_note(shared, splits.test.num_classes) if shared else None
    chunks = chunk_note(trainer.experiment.embedder, trainer.config.batch.chunk)
    compiling = figures = None
    if trainer.config.fabric.compile:
        compiling = "torch compiles the generator's passes at the first step: a minute or two"
    if trainer.config.train.epochs:
        names = [f"{LOSSES['metric']} is the metric loss"]
        if (generator := trainer.experiment.generator) is not None:
            names.append(f"{LOSSES['total']} adds the terms of the generator's negatives")
            if generator.has_generator_losses:
                names.append(f"{LOSSES['generator']} is what the generator learns by")
        where = "TEST SPLIT" if trainer.selected_on == "test" else "validation split"
        figures = f"{', '.join(names)}; best is the figure of the best epoch so far on the {where}."
    for note in filter(None, (closed_set, splits.validation_note, chunks, compiling, figures)):
        console.print(f"note: {note}", soft_wrap=True)


def _continue_command(config: ExperimentConfig, folder: RunFolder) -> str:
    trust = " --trust" if user_classes(config) else ""
    return f"gcahng train --resume {folder.path}{trust}"


def _show(config: ExperimentConfig, folder: RunFolder) -> None:
    """Print a run's figures and where its report is, or what writes it."""
    record = read_record(folder, folder.path.name)
    console.print(results_table(result_rows(record), result_columns(record), "Test split, %"))
    for sentence in filter(None, (verdict(record), selection_note([record]))):
        console.print(sentence, soft_wrap=True)
    absent = f"not written; {_continue_command(config, folder)} writes it"
    where = folder.report if folder.report.is_file() else absent
    console.print(f"report: {where}", soft_wrap=True)
