"""What `gcahng train --dry-run` prints."""

from typing import TYPE_CHECKING

from gcahng.commands.terminal import console

if TYPE_CHECKING:
    from gcahng.config import ExperimentConfig
    from gcahng.runs.folder import RunFolder
    from gcahng.training.dry_run import DryRun


def try_run(config: "ExperimentConfig", folder: "RunFolder") -> None:
    """Print the sizes of an experiment, one step of it, and time and memory of a run.

    Args:
        config: The experiment.
        folder: Where a run of it would go; nothing is written to it.

    Raises:
        ValueError: If the settings do not fit the data or the machine.
    """
    from gcahng.builders.settings import adopt_image_settings
    from gcahng.training.dry_run import dry_run
    from gcahng.training.loggers import build_loggers

    # Whether they can be built: nothing is written before they start.
    build_loggers(config, folder)
    found = dry_run(adopt_image_settings(config))
    splits = {name: [classes, images] for name, (classes, images) in found.splits.items()}
    _print_counts(["split", "classes", "images"], splits)
    parameters = {name: [count, own] for name, (count, own) in found.parameters.items() if count}
    _print_counts(["part", "parameters", "trained"], parameters)
    lines = [] if found.step is None else _step(found)
    lines += [_run(config, found), f"nothing was written to '{folder.path}'"]
    console.print("\n".join(lines), soft_wrap=True)


def _print_counts(titles: list[str], counts: dict[str, list[int]]) -> None:
    from gcahng.reports.tables import Column, results_table

    first, *others = titles
    columns = [Column(first, first), *(Column(title, title, ".0f") for title in others)]
    rows = [
        {first: name, **{title: f"{n:,}" for title, n in zip(others, values, strict=True)}}
        for name, values in counts.items()
    ]
    console.print(results_table(rows, columns))
    console.print()


def _step(found: "DryRun") -> list[str]:
    from gcahng.training.measure_step import median_times

    step = found.step
    assert step is not None
    count, *shape = step.batch
    losses = ", ".join(f"{name} {value:.4g}" for name, value in step.losses.items())
    what = "of this process" if found.device.type == "cpu" else f"allocated on {found.device}"
    return [
        f"one step: {count} images {shape}, {median_times(step.step).seconds:.3g} s, and "
        f"{step.data_seconds:.3g} s to load them; {losses}",
        f"memory: {step.peak_mib:,.0f} MiB {what}",
    ]


def _run(config: "ExperimentConfig", found: "DryRun") -> str:
    seconds = sum(found.costs.values())
    parts = ", ".join(f"{name} {duration(value)}" for name, value in found.costs.items())
    several = f"; by one process, and {found.processes} share it" if found.processes > 1 else ""
    return (
        f"the run: {config.train.epochs} epochs of {found.steps} steps, about {duration(seconds)} "
        f"on {found.device} ({parts}){several}; an estimate, without ranking and writing files"
    )


def duration(seconds: float) -> str:
    """Seconds in the unit that fits.

    >>> duration(3.21), duration(75), duration(600), duration(9000)
    ('3.2 s', '75 s', '10 min', '2.5 h')
    """
    if seconds < 120:
        return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
