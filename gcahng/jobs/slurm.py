"""Processes as jobs of SLURM, through submitit."""

import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from gcahng.jobs.process import Launcher, Started, launcher_variables
from gcahng.reasons import install_extra
from gcahng.registry import lookup

if TYPE_CHECKING:
    import submitit

# Options of jobs and what submitit calls them: whole numbers, then text.
NUMBERS = {
    "cpus": "cpus_per_task",
    "gpus": "gpus_per_node",
    "memory": "mem_gb",
    "minutes": "timeout_min",
}
TEXTS = ("account", "comment", "constraint", "exclude", "gres", "nodelist", "partition", "qos")
OPTIONS = {**NUMBERS, **{name: f"slurm_{name}" for name in TEXTS}}
CLUSTERS = ("slurm", "local")


def submitit_launcher(folder: Path, options: Mapping[str, str]) -> Launcher:
    """Start every process as a job of SLURM.

    Args:
        folder: For submitit's own files; all machines must share it.
        options: Of the jobs, see `OPTIONS`; memory is in GB. `cluster=local` runs the jobs on this
            machine instead, to try it out.

    Raises:
        ImportError: If submitit is missing.
        ValueError: If there is no SLURM here, or an option is unknown or has a wrong value.
    """
    try:
        import submitit
    except ImportError as error:
        raise ImportError(
            f"--launcher submitit: {error}; install it with {install_extra('slurm')}"
        ) from None
    given = dict(options)
    cluster = given.pop("cluster", "slurm")
    if cluster not in CLUSTERS:
        raise ValueError(f"--slurm: cluster: expected one of slurm, local, got {cluster!r}")
    parameters = dict(_parameter(key, value) for key, value in given.items())
    try:
        executor = submitit.AutoExecutor(folder, cluster=cluster)
    except RuntimeError:
        raise ValueError(
            "--launcher submitit: there is no SLURM on this machine (no command 'srun')"
        ) from None
    executor.update_parameters(**parameters)

    def submit(
        name: str, command: Sequence[str], environment: Mapping[str, str], log: Path
    ) -> Started:
        executor.update_parameters(name=name)
        # A plain command: a function of this package would load torch in the job a second time.
        # A job inherits the variables of this process, so it is told to drop a launcher's.
        dropped = [word for name in launcher_variables() for word in ("-u", name)]
        added = [f"{key}={value}" for key, value in environment.items()]
        words = ["env", *dropped, *added, "sh", "-c", 'exec "$@" > "$0" 2>&1', str(log), *command]
        job = executor.submit(subprocess.call, words, cwd=os.getcwd(), stdin=subprocess.DEVNULL)
        return _Job(job, log)

    return submit


class _Job:
    """A job of submitit, with the methods of a process."""

    def __init__(self, job: "submitit.Job[int]", log: Path) -> None:
        self.job, self.log = job, log
        self.status: int | None = None

    def poll(self) -> int | None:
        if self.status is None and self.job.done():
            if self.job.exception() is None:
                self.status = self.job.result()
            else:
                # It was cancelled, or ran out of time or memory.
                self.status = 1
                with self.log.open("a", encoding="utf-8") as file:
                    file.write(f"\nits job {self.job.job_id} ended as {self.job.state}\n")
        return self.status

    def send_signal(self, sig: int, /) -> None:
        self.job.cancel()


def _parameter(key: str, value: str) -> tuple[str, str | int]:
    """Return an option as submitit calls it."""
    try:
        name = lookup(OPTIONS, key, "option")
    except ValueError as error:
        raise ValueError(f"--slurm: {error}") from None
    if key not in NUMBERS:
        return name, value
    if not re.fullmatch("[1-9][0-9]*", value):
        raise ValueError(f"--slurm: {key}: expected a whole number above 0, got {value!r}")
    return name, int(value)
