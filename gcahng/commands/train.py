"""Start, continue and finish a run from the command line."""

from pathlib import Path

from rich.console import Console

from gcahng.commands.terminal import TerminalDisplay
from gcahng.config import ExperimentConfig, load_config
from gcahng.reports.result_table import result_columns, result_rows
from gcahng.reports.run_report import report_run
from gcahng.reports.tables import results_table
from gcahng.runs.folder import RunFolder
from gcahng.runs.record import read_record, selection_note
from gcahng.training.trainer import Trainer


def start_run(config: str | Path, overrides: list[str], run: Path | None, console: Console) -> None:
    """Train a configuration in a new run folder.

    Raises:
        FileExistsError: If the folder holds a run already.
        ValueError: If the configuration has mistakes.
    """
    loaded = load_config(config, overrides)
    folder = RunFolder(run or default_folder(loaded))
    fit(loaded, folder, console)
    show_results(folder, console)


def default_folder(config: ExperimentConfig) -> Path:
    """`<output>/<name>-seed<seed>`."""
    return Path(config.output) / f"{config.name}-seed{config.seed}"


def resume_run(path: Path, console: Console) -> None:
    """Continue a run after its last whole epoch.

    Raises:
        FileNotFoundError: If there is no run in the folder.
        ValueError: If the run holds an imported model.
    """
    folder = RunFolder(path)
    if not folder.config.is_file():
        raise FileNotFoundError(f"no run to resume in '{path}': it has no config.yaml")
    folder.check_trained_here()
    fit(load_config(folder.config), folder, console, resume=True)
    show_results(folder, console)


def show_results(folder: RunFolder, console: Console) -> None:
    """Print a finished run's figures and where its report is."""
    record = read_record(folder, folder.path.name)
    console.print(results_table(result_rows(record), result_columns(record), "Test split, %"))
    console.print(selection_note([record]), soft_wrap=True, highlight=False)
    console.print(f"report: {folder.report}", soft_wrap=True, highlight=False)


def fit(
    config: ExperimentConfig, folder: RunFolder, console: Console, resume: bool = False
) -> None:
    """Train to the end with a progress bar, then write the run's report."""
    if not resume:
        folder.check_free()
    title = f"{config.name} seed {config.seed}"
    with TerminalDisplay(title, config.train.epochs, config.eval.select, console) as display:
        # A run that was stopped within its first epoch has nothing to go back to.
        continues = resume and folder.last.exists()
        trainer = Trainer(config, folder, display, pretrained=not continues)
        if not resume:
            folder.create(config)
        if continues:
            trainer.resume()
        try:
            trainer.fit()
        except KeyboardInterrupt:
            way_on = f"continue with: gcahng train --resume {folder.path}"
            console.print(
                f"interrupted after epoch {trainer.whole_epochs}; {way_on}", soft_wrap=True
            )
            raise SystemExit(130) from None
    report_run(folder)
