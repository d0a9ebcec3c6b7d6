"""Receive uploaded pictures: not too large, not too slowly, not too many at once."""

import asyncio

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request

SECONDS = 60.0
MIB = 2**20
HOW = "send the file itself as the body, as curl --data-binary @cup.jpg does"


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
