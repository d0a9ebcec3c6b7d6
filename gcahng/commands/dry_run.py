"""What `gcahng train --dry-run` prints."""

from typing import TYPE_CHECKING

from gcahng.commands.terminal import console

if TYPE_CHECKING:
    from gcahng.config import ExperimentConfig
    from gcahng.runs.folder import RunFolder


def try_run(config: "ExperimentConfig", folder: "RunFolder") -> None:
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
