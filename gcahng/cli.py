"""The command line: `python -m gcahng VERB`, installed as `gcahng`."""

import atexit
import gc
import io
import os
import sys
import traceback
import warnings
from typing import Annotated

import typer

from gcahng import __version__
from gcahng.allocator import keep_memory
from gcahng.commands.ablate import ablate, tune
from gcahng.commands.benchmark import benchmark
from gcahng.commands.compare import compare
from gcahng.commands.config import config
from gcahng.commands.data import verify
from gcahng.commands.embed import embed, index
from gcahng.commands.evaluate import evaluate
from gcahng.commands.listing import list_components
from gcahng.commands.search import search
from gcahng.commands.serve import serve
from gcahng.commands.share import export, share
from gcahng.commands.train import finish, train
from gcahng.commands.visualize import visualize
from gcahng.jobs.process import Stopped, end_now, heed_signals, place, write_failure
from gcahng.reasons import refusal

BUG = "error: a mistake in gcahng or in a class of yours; please report it with these lines:"

app = typer.Typer(
    help="Deep metric learning with globally correlation-aware hard negatives (GCA-HNG).",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"gcahng {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print it.")
    ] = False,
) -> None:
    """Deep metric learning with globally correlation-aware hard negatives (GCA-HNG)."""


for command in (
    train,
    finish,
    evaluate,
    compare,
    visualize,
    embed,
    index,
    search,
    serve,
    share,
    export,
    ablate,
    tune,
    benchmark,
    config,
):
    app.command()(command)
app.command("list")(list_components)

data = typer.Typer(help="Check data sets.", no_args_is_help=True, rich_markup_mode=None)
data.command()(verify)
app.add_typer(data, name="data")


def main() -> None:
    """Run the command line, and leave as is safe for one of several processes."""
    try:
        _run()
    except BaseException as error:
        if place() is None:
            raise
        end_now(error)


def _run() -> None:
    """Run the command line; an error that a user can correct is one sentence and exit status 1.

    Any other shows its traceback, as all do with GCAHNG_DEBUG set in the environment. A command
    that a signal stops leaves with status 75, or 130 after Ctrl-C.
    """
    for stream in (sys.stdout, sys.stderr):
        # A terminal without a character, such as a dash, prints a question mark for it.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    warnings.formatwarning = lambda message, *_: f"warning: {message}\n"
    keep_memory()
    # Leave without a search through all that is left for garbage.
    atexit.register(gc.freeze)
    try:
        with heed_signals():
            app()
    except Stopped as stopped:
        print(f"{stopped}; give the same command again", file=sys.stderr)
        sys.exit(stopped.status)
    except (SystemExit, KeyboardInterrupt):
        raise
    except BaseException as error:  # also of libraries in other languages
        sentence = _sentence(error)
        if sentence is None:
            print(BUG, file=sys.stderr)
        if sentence is None or os.environ.get("GCAHNG_DEBUG"):
            raise
        print(f"error: {sentence}", file=sys.stderr)
        # A grid that started this process reads the sentence from a file.
        write_failure(sentence)
        sys.exit(1)


def _sentence(error: BaseException) -> str | None:
    """What a user has to know of an error; None if it is a mistake of the code."""
    refused = refusal(error)
    if isinstance(error, OSError) and error.strerror and error.filename:
        return f"'{error.filename}': {refused or error.strerror}"
    if isinstance(error, UnicodeEncodeError):
        named = error.object[error.start : error.end]
        return f"this locale's {error.encoding} cannot write {named!r}: set PYTHONUTF8=1"
    if isinstance(error, OSError) and error.errno:
        return refused or str(error)
    on_purpose = isinstance(error, ValueError) and _is_raised_here(error)
    return str(error) if on_purpose or isinstance(error, OSError | ImportError) else refused


def _is_raised_here(error: BaseException) -> bool:
    """Whether this package raised an error, not a library that it called."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    return bool(frames) and frames[-1].f_globals["__name__"].startswith("gcahng.")
