"""CPU time of the commands until they have something to say, beside `import torch`.

python -m tests.benchmarks.startup  # docs/results/startup.md and .csv
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage
from statistics import median

import numpy as np
import torch
import typer
from PIL import Image

from tests.benchmarks.common import Out, Rows, report

TORCH = "import torch"
# A training that ends with its first step.
FIRST_STEP = """
import os, sys
from gcahng import cli
from gcahng.commands.terminal import TerminalDisplay
show = TerminalDisplay.__init__

def show_every_step(*arguments):
    sys.modules["gcahng.training.trainer"].REFRESH = 0
    show(*arguments)

TerminalDisplay.__init__ = show_every_step
TerminalDisplay.step = lambda *_: os._exit(0)
sys.argv[1:] = ["train", "digits", "--run", f"first-{os.getpid()}", "--no-report"]
cli.main()
"""
GCAHNG = ("-m", "gcahng")
# What Python runs: the arguments, the expected status, and the goal in imports of torch.
CASES: dict[str, tuple[tuple[str, ...], int, float | None]] = {
    TORCH: (("-c", TORCH), 0, None),
    "gcahng --version": ((*GCAHNG, "--version"), 0, None),
    "gcahng list": ((*GCAHNG, "list"), 0, 0.4),
    "gcahng config digits": ((*GCAHNG, "config", "digits"), 0, 0.4),
    "train, generator=gca_hgn": ((*GCAHNG, "train", "digits", "generator=gca_hgn"), 1, 0.5),
    "train, generator.name=gca_hgn": (
        (*GCAHNG, "train", "digits", "generator.name=gca_hgn"),
        1,
        0.5,
    ),
    "train, optim.lrr=1": ((*GCAHNG, "train", "digits", "optim.lrr=1"), 1, 0.5),
    "train, generator.args.alhpa=1": (
        (*GCAHNG, "train", "digits", "generator.args.alhpa=1"),
        1,
        0.5,
    ),
    "train, a misspelt class": ((*GCAHNG, "train", "digits", "generator.name=own:Mie"), 1, 0.5),
    "tune, a wrong study file": ((*GCAHNG, "tune", "wrong.yaml"), 1, 0.5),
    "ablate, a wrong grid file": ((*GCAHNG, "ablate", "wrong.yaml"), 1, 0.5),
    "gcahng search": ((*GCAHNG, "search", "store", "photos/0.png"), 0, 1.8),
    "train digits, first step": (("-c", FIRST_STEP), 0, 3.0),
}
OWN = """
from gcahng.generators import NegativeGenerator

class Mine(NegativeGenerator):
    pass
"""
# As an installed package, which is compiled once.
ENVIRONMENT = {name: v for name, v in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
ENVIRONMENT |= {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[2])}
WRONG = "base: digits\ntrails: 5\nrefrence: a\nsearch: {loss.args.temperature: [0.5, 1.0]}\n"


def main(repetitions: int = 5, out: Path = Out) -> None:
    """Run each command in turn, as often as asked, each with one thread."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        _prepare(Path(folder))
        rounds = [
            {
                name: _cpu_seconds(arguments, status, folder)
                for name, (arguments, status, _) in CASES.items()
            }
            for _ in range(repetitions + 1)
        ][1:]  # the first one reads files from the disk
    rows: Rows = []
    for name, (_, _, goal) in CASES.items():
        seconds = median(one[name] for one in rounds)
        multiple = median(one[name] / one[TORCH] for one in rounds)
        rows.append({"command": name, "cpu_s": seconds, "multiple": multiple, "goal": goal})
    report("startup", rows, out)


def _prepare(folder: Path) -> None:
    """Write what the commands are about: a class, a wrong file, and a store of pictures."""
    (folder / "own.py").write_text(OWN)
    (folder / "wrong.yaml").write_text(WRONG)
    (folder / "photos").mkdir()
    for number, pixels in enumerate(np.random.default_rng(0).integers(0, 255, (8, 16, 16))):
        Image.fromarray(pixels.astype("uint8")).save(folder / f"photos/{number}.png")
    run = ("train", "digits", "train.epochs=1", "generator=null", "--run", "run", "--no-report")
    for arguments in (run, ("index", "run", "photos", "--store", "store")):
        _cpu_seconds((*GCAHNG, *arguments), 0, str(folder))


def _cpu_seconds(arguments: tuple[str, ...], status: int, folder: str) -> float:
    """CPU time of a process of Python, user and system."""
    before = getrusage(RUSAGE_CHILDREN)
    command = [sys.executable, *arguments]
    done = subprocess.run(
        command, cwd=folder, env=ENVIRONMENT, capture_output=True, text=True, check=False
    )
    after = getrusage(RUSAGE_CHILDREN)
    assert done.returncode == status, f"{arguments}: {done.stdout}{done.stderr}"
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    typer.run(main)
