"""What every request passes: the check of its address, and headers that bind the browser."""

from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.datastructures import MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADERS = {
    # The page loads nothing from elsewhere; `blob:` is the preview of a chosen picture.
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
}


class Guard:
    """Adds the headers to every answer, and refuses other hosts.

    A page of another site can make its own name lead to this machine and then read what the server
    answers (DNS rebinding); the request then carries that name.

    Args:
        app: What answers.
        only_local: Whether requests must name this machine.
    """

    def __init__(self, app: ASGIApp, only_local: bool) -> None:
        self._app, self._only_local = app, only_local

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        app = self._app
        hosts = [value.decode("latin-1") for name, value in scope["headers"] if name == b"host"]
        if self._only_local and not (len(hosts) == 1 and is_local(hosts[0])):
            sentence = "this server answers to localhost and 127.0.0.1 only"
            app = JSONResponse({"error": sentence}, 403)
        await app(scope, receive, send_with_headers)


def is_local(host: str) -> bool:
    """Whether the `Host` of a request names this machine.

    Example:
        >>> is_local("localhost:8000"), is_local("[::1]:8000"), is_local("127.0.0.1.evil.org")
        (True, True, False)
    """
    try:
        name = urlsplit(f"//{host}").hostname or ""
        return name == "localhost" or ip_address(name).is_loopback
    except ValueError:
        return False
