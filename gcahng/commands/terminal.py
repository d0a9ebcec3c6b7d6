"""The terminal: where commands print, and their progress bars."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)

console = Console()
if not console.is_terminal:
    # A log has no width; results tables need some.
    console.width = 120


class TerminalDisplay:
    """A bar with the losses and the best figure so far; plain lines where there is no terminal.

    Args:
        title: What is being trained.
        epochs: How many epochs the bar spans.
        metric: Name of the figure that picks the best epoch.
        console: Where to draw.
    """

    def __init__(self, title: str, epochs: int, metric: str, console: Console) -> None:
        self.title, self.epochs, self.metric, self.console = title, epochs, metric, console
        self.best = ""
        self.progress = Progress(
            TextColumn("[bold]{task.fields[title]}"),
            BarColumn(bar_width=8),
            TextColumn("{task.description}"),
            TimeRemainingColumn(compact=True),
            console=console,
            disable=not console.is_terminal,
            transient=True,
        )
        self.task = self.progress.add_task("starting", total=epochs, title=title)
        self.warm: TaskID | None = None

    def __enter__(self) -> "TerminalDisplay":
        self.progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.progress.stop()

    def warm_start(self, step: int, steps: int, loss: float) -> None:
        """Advance the bar of the warm start."""
        if self.warm is None:
            self.warm = self.progress.add_task("", total=steps, title="warm start")
        text = f"step {step}/{steps}  cross entropy {loss:.3f}"
        self.progress.update(self.warm, completed=step, description=text)
        if step == steps:
            self.progress.remove_task(self.warm)

    def step(self, epoch: int, step: int, steps: int, losses: dict[str, float]) -> None:
        """Advance the bar within an epoch."""
        text = f"{epoch}/{self.epochs} {_losses(losses)}{self.best}"
        self.progress.update(self.task, completed=epoch - 1 + step / steps, description=text)

    def evaluation(self, done: int, images: int) -> None:
        """Say how far an evaluation is."""
        text = f"evaluating image {done}/{images}{self.best}"
        self.progress.update(self.task, description=text)

    def epoch(self, row: dict[str, float], best: float | None) -> None:
        """Advance the bar to the end of an epoch; without a terminal, print a line."""
        losses = {k.removeprefix("loss/"): v for k, v in row.items() if k.startswith("loss/")}
        # Short words: title, bar, losses and the best figure share 80 columns.
        metric = self.metric.replace("recall@", "R@")
        self.best = "" if best is None else f" best {metric} {100 * best:.2f}%"
        number = int(row["epoch"])
        text = f"{number}/{self.epochs} {_losses(losses)}{self.best}"
        self.progress.update(self.task, completed=number, description=text)
        if not self.console.is_terminal:
            line = f"{self.title}  epoch {text}  {row['seconds']:.1f} s"
            self.console.print(line, highlight=False, soft_wrap=True)


@contextmanager
def counting_bar(
    title: str, console: Console, count: ProgressColumn | None = None
) -> Iterator[Callable[[int, int | None], None]]:
    """A bar for work that is counted; nothing where there is no terminal.

    Args:
        title: What is being done.
        console: Where to draw.
        count: How the count is shown; by default as done/all.

    Yields:
        A function to be told how much is done, and of how much.
    """
    columns = (TextColumn("{task.description}"), BarColumn(), count or MofNCompleteColumn())
    bar = Progress(
        *columns,
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    with bar:
        task = bar.add_task(title, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _losses(losses: dict[str, float]) -> str:
    shown = {"metric": "J_m", "total": "J", "generator": "J_gen"}
    parts = [f"{label} {losses[name]:.3g}" for name, label in shown.items() if name in losses]
    return " ".join(parts)
