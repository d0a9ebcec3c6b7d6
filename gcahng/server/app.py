"""The addresses of the server and what each answers."""

import asyncio
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from gcahng.server.finder import Finder
from gcahng.server.guard import Guard

ASSETS = {
    "page.html": "text/html",
    "page.css": "text/css",
    "page.js": "text/javascript",
    "icon.svg": "image/svg+xml",
}
RESULTS = 24
# Pictures that are decoded and embedded at a time: one on the processor while another is read.
AT_ONCE = 2
# Uploads that are being received, wait for the model or are embedded; each occupies memory.
MOST_UPLOADS = 64
# To receive an upload: else clients that send nothing would keep all places.
SECONDS = 60.0
MIB = 2**20
HOW = "send the file itself as the body, as curl --data-binary @cup.jpg does"
T = TypeVar("T")


class Pages:
    """Answers requests about a store; what is not `async` runs in a thread of its own."""

    def __init__(self, finder: Finder) -> None:
        self._finder = finder
        folder = Path(__file__).parent / "assets"
        self._assets = {name: (folder / name).read_bytes() for name in ASSETS}
        self._uploads, self._turn = asyncio.Semaphore(MOST_UPLOADS), asyncio.Semaphore(AT_ONCE)

    async def _in_turn(self, work: Callable[..., T], *arguments: Any) -> T:
        """Decode and embed pictures beside the event loop, a few at a time."""
        async with self._turn:
            return await run_in_threadpool(work, *arguments)

    async def asset(self, request: Request) -> Response:
        """`/` and `/assets/{name}`: the page and what it consists of."""
        name = request.path_params.get("name", "page.html")
        if name not in self._assets:
            raise HTTPException(404)
        headers = {"cache-control": "no-cache"}
        return Response(self._assets[name], headers=headers, media_type=ASSETS[name])

    def health(self, request: Request) -> Response:
        """`/health`: whether searches work, and in what."""
        return _json(self._finder.health())

    def labels(self, request: Request) -> Response:
        """`/labels`: the classes with their numbers of pictures."""
        counts = self._finder.labels()
        return _json({"labels": [{"label": name, "pictures": n} for name, n in counts.items()]})

    def sample(self, request: Request) -> Response:
        """`/pictures?k=&label=`: some pictures to start from."""
        _, k, label = self._query_parameters(request)
        return _json(self._finder.sample(k, label))

    async def search(self, request: Request) -> Response:
        """`/search?k=&label=` with a picture as the body, or `/search?id=&k=&label=`."""
        if request.method == "POST":
            _, k, label = self._query_parameters(request)
            if self._uploads.locked():
                sentence = "too many pictures are waiting: try again in a few seconds"
                raise HTTPException(503, sentence, {"Retry-After": "2"})
            async with self._uploads:
                receiving = receive_upload(request, self._finder.limits.most_bytes)
                try:
                    content = await asyncio.wait_for(receiving, SECONDS)
                except asyncio.TimeoutError as error:  # TimeoutError itself since Python 3.11
                    sentence = f"the picture did not arrive in {SECONDS:.0f} s"
                    raise HTTPException(408, sentence) from error
                return _json(await self._in_turn(self._finder.search_upload, content, k, label))
        key, k, label = self._query_parameters(request, "id")
        if not key:
            raise HTTPException(400, "name an indexed picture with id, or POST a picture")
        return _json(await run_in_threadpool(self._finder.search_stored, key, k, label))

    def thumbnail(self, request: Request) -> Response:
        """`/thumbnail/{id}`: a small picture."""
        content = self._finder.thumbnail(request.path_params["id"])
        headers = {"cache-control": "private, max-age=60"}
        return Response(content, headers=headers, media_type="image/jpeg")

    async def picture(self, request: Request) -> Response:
        """`/picture/{id}`: the indexed file."""
        return await self._in_turn(self._finder.original, request.path_params["id"])

    def _query_parameters(self, request: Request, *more: str) -> tuple[str | None, int, str | None]:
        """The parameters `id`, `k` and `label` of a request."""
        asked, most = request.query_params, self._finder.limits.most_results
        if unknown := asked.keys() - {"k", "label", *more}:
            known = ", ".join([*more, "k", "label"])
            raise HTTPException(400, f"unknown parameter '{min(unknown)}': choose from {known}")
        k = asked.get("k", str(RESULTS))
        # `int` takes long for a million digits.
        if not re.fullmatch("[0-9]{1,9}", k) or not 1 <= int(k) <= most:
            raise HTTPException(400, f"k must be a whole number from 1 to {most}")
        return asked.get("id"), int(k), asked.get("label")


async def receive_upload(request: Request, most: int) -> bytes:
    """Receive the body of a request, of at most so many bytes."""
    if request.headers.get("content-type", "").lower().startswith("multipart/"):
        raise HTTPException(415, f"a form cannot be read: {HOW}")
    too_large = HTTPException(413, f"the picture is too large: more than {most / MIB:g} MiB")
    announced = request.headers.get("content-length", "")
    if announced.isdigit() and int(announced) > most:
        raise too_large
    content = bytearray()
    try:
        async for chunk in request.stream():
            content += chunk
            if len(content) > most:
                raise too_large
    except ClientDisconnect as error:
        raise HTTPException(400, "the picture did not arrive completely") from error
    if not content:
        raise HTTPException(400, f"there is no picture in the request: {HOW}")
    return bytes(content)


def _json(content: dict[str, Any]) -> JSONResponse:
    return JSONResponse(content, headers={"cache-control": "no-store"})


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": error.detail}, error.status_code, headers=error.headers)


async def _failed(request: Request, error: Exception) -> Response:
    return JSONResponse({"error": "the server failed: its terminal says why"}, 500)


def build_app(finder: Finder, *, only_local: bool = True) -> ASGIApp:
    """Build the application.

    Args:
        finder: Knows the store.
        only_local: Refuse requests that do not name this machine, see `Guard`.
    """
    pages = Pages(finder)
    app = Starlette(
        routes=[
            Route("/", pages.asset),
            Route("/assets/{name}", pages.asset),
            Route("/health", pages.health),
            Route("/labels", pages.labels),
            Route("/pictures", pages.sample),
            Route("/search", pages.search, methods=["GET", "POST"]),
            Route("/thumbnail/{id}", pages.thumbnail),
            Route("/picture/{id}", pages.picture),
        ],
        exception_handlers={HTTPException: _refused, Exception: _failed},
    )
    app.router.redirect_slashes = False
    # Outermost, so that it also guards the answers to failures.
    return Guard(app, only_local)
