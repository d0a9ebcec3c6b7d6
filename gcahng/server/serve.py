"""Listen on a port, and run the server until Ctrl-C."""

import contextlib
import os
import socket
from ipaddress import ip_address

import uvicorn
from starlette.types import ASGIApp

from gcahng.jobs.process import Stopped

# For answers that are under way when the server ends.
GRACE = 5


def listen(host: str, port: int) -> socket.socket:
    """Open a port; connections wait until the server runs.

    Args:
        host: An address or name of this machine.
        port: 0 takes any that is free.

    Raises:
        OSError: If the address is not of this machine, or the port is in use or reserved.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        # Unless the protocol is named, asyncio leaves a delay of 40 ms in every answer.
        opened = socket.socket(family, kind, protocol)
    except socket.gaierror as error:
        raise OSError(f"--host: '{host}' is not an address of this machine") from error
    try:
        if os.name == "posix":
            # Else the port of a server that has just ended is in use for a minute.
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.bind(address)
        opened.listen(128)
    except OSError as error:
        opened.close()
        raise OSError(
            f"--host, --port: cannot listen on {host}, port {port} ({error.strerror}): choose "
            "another port, or 0 for any that is free"
        ) from error
    return opened


def is_loopback(opened: socket.socket) -> bool:
    """Whether only this machine can connect."""
    return ip_address(opened.getsockname()[0]).is_loopback


def web_address(host: str, opened: socket.socket) -> str:
    """What to open in a browser.

    Example:
        >>> with listen("127.0.0.1", 0) as opened:
        ...     web_address("127.0.0.1", opened).rpartition(":")[0]
        'http://127.0.0.1'
    """
    own, port, *_ = opened.getsockname()
    if ip_address(own).is_unspecified:
        # All addresses of this machine: other machines know it by name.
        host = socket.gethostname()
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def run(app: ASGIApp, opened: socket.socket) -> None:
    """Answer requests until Ctrl-C or SIGTERM."""
    settings = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        ws="none",
        lifespan="on",
        timeout_graceful_shutdown=GRACE,
    )
    # uvicorn ends its work at Ctrl-C or SIGTERM, then passes it on.
    with contextlib.suppress(KeyboardInterrupt, Stopped), opened:
        uvicorn.Server(settings).run(sockets=[opened])
