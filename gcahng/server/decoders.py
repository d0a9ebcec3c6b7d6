"""Processes that decode pictures, each within a limit of time."""

import multiprocessing
import signal
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from queue import SimpleQueue
from typing import Any

# Pictures that are decoded and embedded at a time: one on the processor while another is read.
AT_ONCE = 2


class Decoders:
    """Runs functions in processes of its own; one that takes too long is ended and replaced.

    Pillow decodes some files in Python, during which no other thread of a process runs. The
    functions should be in modules that are quick to import.

    Args:
        seconds: The longest that one call may take.
    """

    def __init__(self, seconds: float) -> None:
        self._idle: SimpleQueue[_Decoder] = SimpleQueue()
        for _ in range(AT_ONCE):
            self._idle.put(_Decoder(seconds))

    def run(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Call a function of a module in another process.

        Raises:
            ValueError: If it takes too long, or its process dies.
            Exception: What the function raises.
        """
        decoder = self._idle.get()
        try:
            return decoder.run(function, *arguments)
        finally:
            self._idle.put(decoder)


class _Decoder:
    """One process, started when it is needed; it ends when this object does."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._process: BaseProcess | None = None
        self._connection: Connection

    def run(self, function: Callable[..., Any], *arguments: Any) -> Any:
        try:
            if self._process is None:
                self._start()
            self._connection.send((function, arguments))
            if not self._connection.poll(self._seconds):
                raise ValueError(f"decoding takes more than {self._seconds:g} s")
            value, error = self._connection.recv()
        except (EOFError, OSError) as dead:
            self._end()
            raise ValueError("the process that decodes it ended") from dead
        except BaseException:
            self._end()
            raise
        if error is not None:
            raise error
        return value

    def _start(self) -> None:
        # A forked process could wait for a lock that another thread of the server held.
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=_answer, args=(theirs,), daemon=True)
        self._process.start()
        theirs.close()
        # Until it has started: that time is not the picture's.
        self._connection.recv()

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.join()
            self._connection.close()


def _answer(connection: Connection) -> None:
    """Call what is asked for until the other end is closed."""
    # Ctrl-C reaches all processes of a terminal; this one ends with the server.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    connection.send("started")
    while True:
        try:
            function, arguments = connection.recv()
        except EOFError:
            return
        answer: tuple[Any, Exception | None]
        try:
            answer = function(*arguments), None
        except Exception as error:
            answer = None, error
        connection.send(answer)
