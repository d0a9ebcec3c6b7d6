"""Listen on a port, and run the server until Ctrl-C."""

import contextlib
import socket
from ipaddress import ip_address

import uvicorn
from starlette.types import ASGIApp

from gcahng.jobs.process import Stopped

# For answers that are under way when the server ends.
GRACE = 5


def listen(host: str, port: int) -> socket.socket:
    """Open a port (0: any that is free); connections wait until the server runs.

    Raises:
        OSError: If the address is not of this machine, or the port is in use or reserved.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        opened = socket.create_server((host, port), family=family)
    except OSError as error:
        raise OSError(
            f"--host, --port: cannot listen on {host}, port {port} ({error.strerror}): choose "
            "another port, or 0 for any that is free"
        ) from error
    # Else there is a delay of 40 ms in every answer.
    opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return opened


def is_loopback(opened: socket.socket) -> bool:
    """Whether only this machine can connect."""
    return ip_address(opened.getsockname()[0]).is_loopback


def web_address(host: str, opened: socket.socket) -> str:
    """What to open in a browser."""
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
