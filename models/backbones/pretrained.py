"""Load a backbone's weights from its library's hub or from a file."""

import logging
import socket
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from torch import nn

from gcahng.models.backbones.other_names import rename_parameters
from gcahng.models.backbones.package_weights import weights_path
from gcahng.models.weights import (
    LOGGER,
    load_strictly,
    log_unused,
    read_weights,
    strip_prefixes,
)
from gcahng.reasons import first_line


class UnreachableError(ConnectionError):
    """Pretrained weights that are neither cached nor downloadable.

    Attributes:
        failure: What could not be downloaded and why, without the alternatives.
    """

    def __init__(self, failure: str, alternatives: str) -> None:
        super().__init__(f"{failure}: {alternatives}")
        self.failure = failure


@contextmanager
def fetching(name: str, host: str) -> Iterator[None]:
    """Context manager around a library that builds a network and fetches its weights.

    Args:
        name: The backbone's name in the error message.
        host: The host of its weights in the error message.

    Raises:
        ConnectionError: If the weights are neither cached nor downloadable.
        ValueError: If the library fails otherwise: it uses arguments without checking them.
    """
    try:
        yield
    except OSError as error:
        reason = first_line(getattr(error, "reason", None) or error)
        raise _unreachable(name, host, reason) from error
    except (TypeError, AttributeError, LookupError, RuntimeError, AssertionError) as error:
        reason = f"{type(error).__name__}: {first_line(error)}"
        raise ValueError(f"{name!r} cannot be built: {reason}") from error


def check_reachable(name: str, host: str) -> None:
    """Raise at once if a host cannot be resolved, instead of after a minute of retries.

    Args:
        name: As in `fetching`.
        host: As in `fetching`.

    Raises:
        ConnectionError: As in `fetching`.
    """
    if urllib.request.getproxies():
        return  # a proxy may resolve hosts that this machine cannot
    try:
        socket.getaddrinfo(host, 443)
    except OSError as error:
        raise _unreachable(name, host, "the address does not resolve") from error


def _unreachable(name: str, host: str, reason: str) -> UnreachableError:
    return UnreachableError(
        f"the pretrained weights of '{name}' could not be downloaded from {host} ({reason})",
        "connect to the internet once (they are cached), load a file with "
        "embedder.backbone.args.weights=PATH, or use random weights with "
        "embedder.backbone.args.pretrained=false",
    )


@contextmanager
def quiet(logger: str) -> Iterator[None]:
    """Suppress a library's log messages below ERROR, such as one for each download attempt."""
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
    """Build a network and load its weights from a file if one is given.

    Args:
        make: Builds the network, with the library's weights if its argument is true.
        name: The network's name in error messages.
        pretrained: Whether to load the library's weights; ignored if `weights` is given.
        weights: A file with a state dict of the network, or `package:NAME` for the one in an
            installed package; a classification head in it is ignored.

    Raises:
        ConnectionError: If the library's weights cannot be downloaded.
        FileNotFoundError: If there is no such file.
        ValueError: If the file is damaged or contains another network, or the package is missing.
    """
    network = make(pretrained and weights is None)
    if weights is not None:
        path = weights_path(weights)
        state = read_weights(path)
        wanted = network.state_dict()
        renamed = rename_parameters(strip_prefixes(state, wanted), wanted, name, path)
        if renamed.keys() != state.keys():
            example = next(iter(renamed))
            full = next(key for key in state if state[key] is renamed[example])
            LOGGER.warning("%s: '%s' is read as '%s', and so on", path, full, example)
        unused = load_strictly(network, renamed, path, f"the backbone '{name}'")
        log_unused(path, unused)
    return network
