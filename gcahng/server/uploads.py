"""Receive uploaded pictures: not too large, not too slowly, not too many at once."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request

# Uploads that are being received, wait for the model or are embedded.
MOST_AT_ONCE = 64
SECONDS = 60.0
MIB = 2**20
HOW = "send the file itself as the body, as curl --data-binary @cup.jpg does"


class Places:
    """Counts uploads; those above a number are refused, since each occupies memory.

    Args:
        most: The number.
    """

    def __init__(self, most: int = MOST_AT_ONCE) -> None:
        self._free = most

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Occupy a place within the block, on the thread of the event loop."""
        if not self._free:
            sentence = "too many pictures are waiting: try again in a few seconds"
            raise HTTPException(503, sentence, {"Retry-After": "2"})
        self._free -= 1
        try:
            yield
        finally:
            self._free += 1


async def receive_upload(request: Request, most: int) -> bytes:
    """Receive the body of a request, of at most so many bytes.

    Raises:
        HTTPException: If it is larger, empty, not a file or takes too long.
    """
    if request.headers.get("content-type", "").lower().startswith("multipart/"):
        raise HTTPException(415, f"a form cannot be read: {HOW}")
    announced = request.headers.get("content-length", "")
    if announced.isdigit() and int(announced) > most:
        raise _too_large(most)
    try:
        content = await asyncio.wait_for(_count(request, most), SECONDS)
    except asyncio.TimeoutError as error:  # TimeoutError itself since Python 3.11.
        raise HTTPException(408, f"the picture did not arrive in {SECONDS:.0f} s") from error
    except ClientDisconnect as error:
        raise HTTPException(400, "the picture did not arrive completely") from error
    if not content:
        raise HTTPException(400, f"there is no picture in the request: {HOW}")
    return content


async def _count(request: Request, most: int) -> bytes:
    content = bytearray()
    async for chunk in request.stream():
        content += chunk
        if len(content) > most:
            raise _too_large(most)
    return bytes(content)


def _too_large(most: int) -> HTTPException:
    return HTTPException(413, f"the picture is too large: more than {most / MIB:g} MiB")
