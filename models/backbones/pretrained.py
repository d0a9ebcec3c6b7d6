"""Where a backbone's weights come from: its library's hub, or a file."""

import logging
import socket
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from torch import nn

from gcahng.models.weights import load_strictly, log_unused, read_weights


@contextmanager
def fetching(name: str, host: str) -> Iterator[None]:
    """Turn a failed download into one sentence that says what to do instead.

    Args:
        name: The backbone, for the sentence.
        host: Where its weights are; also for the sentence.

    Raises:
        ConnectionError: If the weights are neither cached nor within reach.
    """
    try:
        yield
    except OSError as error:
        reason = str(getattr(error, "reason", error)).strip().splitlines()[0]
        raise _unreachable(name, host, reason) from error


def check_reachable(name: str, host: str) -> None:
    """Fail at once where a host cannot be found, before a library tries for a minute.

    Raises:
        ConnectionError: As `fetching`.
    """
    if urllib.request.getproxies():
        return  # a proxy finds hosts that this machine cannot
    try:
        socket.getaddrinfo(host, 443)
    except OSError as error:
        raise _unreachable(name, host, "the address does not resolve") from error


def _unreachable(name: str, host: str, reason: str) -> ConnectionError:
    return ConnectionError(
        f"the pretrained weights of '{name}' could not be fetched from {host} ({reason}): go "
        "online once (they are kept), give a file with embedder.backbone.args.weights=PATH, or "
        "start untrained with embedder.backbone.args.pretrained=false"
    )


@contextmanager
def quiet(logger: str) -> Iterator[None]:
    """Keep a library from reporting each attempt of a download."""
    log = logging.getLogger(logger)
    before = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(before)


def build_with_weights(
    make: Callable[[bool], nn.Module], name: str, pretrained: bool, weights: str | Path | None
) -> nn.Module:
    """Make a network and fill it from a file where one is given.

    Args:
        make: Makes it, with the library's own weights if its argument is true.
        name: The network, for messages.
        pretrained: Whether to start from the library's weights; a file has precedence.
        weights: A state dict of the network alone, its classification head allowed and unused.

    Raises:
        ConnectionError: If the library's weights are out of reach.
        FileNotFoundError: If there is no such file.
        ValueError: If the file is damaged or holds another network.
    """
    network = make(pretrained and weights is None)
    if weights is not None:
        path = Path(weights).expanduser()
        unused = load_strictly(network, read_weights(path), path, f"the backbone '{name}'")
        log_unused(path, unused)
    return network
