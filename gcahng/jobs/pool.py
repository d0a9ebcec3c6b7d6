"""Jobs in processes of their own, so that a crash of one leaves the others alone."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from gcahng.files import write_text
from gcahng.jobs.claim import CLAIM_FILE, Claim
from gcahng.jobs.process import (
    FAILURE_FILE,
    GCAHNG,
    GPUS,
    Started,
    choose_gpus,
    cores,
    explain_end,
    start_process,
    stop_processes,
    was_stopped,
)

COMMAND = (*GCAHNG, "train")
# Seconds to wait for processes to end before they are asked to.
PATIENCE = 3.0


@dataclass(frozen=True, eq=False)
class Job:
    """A training for a process of its own; output and reason of a failure are beside `settings`.

    Without `threads` it uses its share of the machine's; `gpus` is 0 if its settings name them.
    """

    name: str
    settings: Path
    folder: Path
    threads: int | None = None
    gpus: int = 0

    @property
    def log(self) -> Path:
        """The output of its process."""
        return self.settings.with_suffix(".log")

    @property
    def failure(self) -> Path:
        """The reason why it failed, if it did."""
        return self.settings.with_suffix(".failed")

    @property
    def finished(self) -> bool:
        """Whether it has results."""
        return (self.folder / "results.json").is_file()

    @property
    def reason(self) -> str | None:
        """Why it failed, in one line; None if it has not."""
        # A process on another machine may delete the file, to train it again.
        with suppress(FileNotFoundError):
            return " ".join(self.failure.read_text(encoding="utf-8").split())
        return None

    @property
    def failed_at(self) -> int | None:
        """When it failed, as the file system has it; None if it has not."""
        with suppress(FileNotFoundError):
            return self.failure.stat().st_mtime_ns
        return None

    def fail(self, sentence: str) -> None:
        """Mark it as failed, with the reason."""
        write_text(self.failure, sentence + "\n")

    @property
    def command(self) -> list[str]:
        """The command that starts it, or continues it."""
        # A report takes seconds, and few people open those of single runs.
        words = [str(self.settings), "--no-report", "--resume", "auto", "--run", str(self.folder)]
        return [*COMMAND, *words]


class Pool:
    """Processes that work, several at a time; close it to stop those still running."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.running: dict[Job, Started] = {}
        self.claims: dict[Job, Claim] = {}
        # The GPUs of each process that got some of its own.
        self.gpus: dict[Job, list[str]] = {}

    @property
    def full(self) -> bool:
        """Whether no further job can be started now."""
        return len(self.running) >= self.size

    def start(self, job: Job, settings: str, claim: Claim) -> None:
        """Start a job with these settings, or continue it; its process keeps the claim alive."""
        self.claims[job] = claim
        job.failure.unlink(missing_ok=True)
        write_text(job.settings, settings)
        self.running[job] = start_process(job.command, self._environment(job, claim), job.log)

    def collect(self) -> list[Job]:
        """Return the jobs that have ended since the last call, marking failed ones."""
        ended = [job for job, process in self.running.items() if process.poll() is not None]
        for job in ended:
            status, claim = self.running.pop(job).poll(), self.claims.pop(job)
            self.gpus.pop(job, None)
            failed = status != 0 or not job.finished
            # A process writes its own reason, unless it was killed or crashed.
            if failed and not (was_stopped(status) or claim.lost or job.failure.exists()):
                job.fail(explain_end(status, job.log))
        return ended

    def stop(self, job: Job) -> None:
        """Stop one process by a signal; `collect` returns its job."""
        stop_processes([self.running[job]], 0)

    def close(self) -> None:
        """Stop every process, those that have not ended after some seconds by a signal."""
        stop_processes(list(self.running.values()), PATIENCE)

    def _environment(self, job: Job, claim: Claim) -> Mapping[str, str]:
        """Return what to add to a job's environment: its claim, its threads and its GPUs."""
        # Libraries beside torch count the cores too, so the number of threads goes here as well.
        added = {FAILURE_FILE: str(job.failure), CLAIM_FILE: str(claim.file)}
        threads = job.threads
        if threads is None and self.size > 1:
            threads = max(1, cores() // self.size)
        if threads is not None:
            added["OMP_NUM_THREADS"] = str(threads)
        if job.gpus:
            taken = [name for names in self.gpus.values() for name in names]
            chosen = choose_gpus(job.gpus, taken)
            self.gpus[job] = chosen.get(GPUS, "").split(",")
            added |= chosen
        return added
