"""The terminal: where commands print, and their progress bars."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)

from gcahng.allocator import lasting_imports

# Text of users, such as `embedder.freeze=[bn]`, is not markup.
console = Console(markup=False, highlight=False)
errors = Console(stderr=True, markup=False, highlight=False)
if not console.is_terminal:
    # Without a terminal, rich assumes 80 columns, too few for the tables of results.
    console.width = 120

# The losses of a training, as its lines call them.
LOSSES = {"metric": "J_m", "total": "J", "generator": "J_gen"}


class TerminalDisplay:
    """The progress of a training: a bar on a terminal, a line per epoch elsewhere."""

    def __init__(self, title: str, epochs: int, figure: str, progress: Progress) -> None:
        self.title, self.epochs, self.figure = title, epochs, figure
        self.progress, self.console = progress, progress.console
        self.best = ""
        self.task = progress.add_task("starting", total=epochs, title=title)

    def work(self, title: str, done: int, total: int) -> None:
        """Show how far some work beside the steps is."""
        text = f"{title} {done}/{total}{self.best}"
        self.progress.update(self.task, description=text)

    def step(self, epoch: int, step: int, steps: int, losses: dict[str, float]) -> None:
        """Advance the bar within an epoch."""
        self._show(epoch, epoch - 1 + step / steps, losses)

    def epoch(self, row: dict[str, float], best: float | None) -> None:
        """Advance the bar to the end of an epoch; without a terminal, print a line."""
        losses = {k.removeprefix("loss/"): v for k, v in row.items() if k.startswith("loss/")}
        # Short, because title, bar, losses and the best value must fit into 80 columns.
        self.best = "" if best is None else f" best {self.figure} {100 * best:.2f}%"
        text = self._show(int(row["epoch"]), row["epoch"], losses)
        if not self.console.is_terminal:
            line = f"{self.title}  epoch {text}  {row['seconds']:.1f} s"
            self.console.print(line, soft_wrap=True)

    def _show(self, epoch: int, completed: float, losses: dict[str, float]) -> str:
        text = f"{epoch}/{self.epochs} {_losses(losses)}{self.best}"
        self.progress.update(self.task, completed=completed, description=text)
        return text


@contextmanager
def training_display(
    title: str, epochs: int, figure: str, console: Console = console
) -> Iterator[TerminalDisplay]:
    """Show the progress of a training within the block.

    `figure` is what selects the best epoch, such as `val MAP@R`.
    """
    name = TextColumn("{task.fields[title]}", style="bold", markup=False)
    text, left = TextColumn("{task.description}"), TimeRemainingColumn(compact=True)
    with _progress(name, BarColumn(bar_width=8), text, left, console=console) as progress:
        yield TerminalDisplay(title, epochs, figure, progress)


@contextmanager
def loading() -> Iterator[None]:
    """Import PyTorch and what is around it within the block, and say so on a terminal."""
    shown = errors.status("loading PyTorch") if errors.is_terminal else nullcontext()
    with lasting_imports(), shown:
        yield


@contextmanager
def counting_bar(title: str) -> Iterator[Callable[[int, int | None], None]]:
    """Show a bar on a terminal; call what it yields with the amount done so far and the total."""
    text, count = TextColumn("{task.description}"), MofNCompleteColumn()
    with _progress(text, BarColumn(), count, TimeRemainingColumn(), console=console) as bar:
        task = bar.add_task(title, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _progress(*columns: ProgressColumn, console: Console) -> Progress:
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


def print_unreadable(files: Sequence[object], most: int = 20) -> None:
    """List files that were left out because they cannot be read."""
    if not files:
        return
    more = f" (and {len(files) - most} more)" if len(files) > most else ""
    lines = [f"left out, because they cannot be read: {len(files)}", *map(str, files[:most])]
    errors.print("\n  ".join(lines) + more, soft_wrap=True)


def _losses(losses: dict[str, float]) -> str:
    # Without a generator, the total is the metric loss.
    alone = losses.keys() <= {"metric", "total", "gradient"}
    names = [name for name in LOSSES if name in losses and not (alone and name == "total")]
    return " ".join(f"{LOSSES[name]} {losses[name]:.3g}" for name in names)
