import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from starlette.exceptions import HTTPException
from starlette.requests import Request

from gcahng.server import uploads
from gcahng.server.uploads import receive_upload


def _request(receive: Callable[[], Awaitable[Any]]) -> Request:
    return Request({"type": "http", "method": "POST", "headers": []}, receive)


def test_slow_uploads_are_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "SECONDS", 0.05)

    async def receive() -> Any:
        await asyncio.sleep(0.02)
        return {"type": "http.request", "body": b"x", "more_body": True}

    with pytest.raises(HTTPException) as info:
        asyncio.run(receive_upload(_request(receive), 10**6))
    assert info.value.status_code == 408


def test_a_client_that_leaves_is_no_error_of_ours() -> None:
    async def receive() -> Any:
        return {"type": "http.disconnect"}

    with pytest.raises(HTTPException, match="did not arrive completely"):
        asyncio.run(receive_upload(_request(receive), 10**6))
