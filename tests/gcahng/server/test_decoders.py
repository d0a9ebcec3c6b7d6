"""Pictures are decoded beside the server, and none holds it up."""

import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gcahng.pictures import TooManyPixels, decode_image
from gcahng.server.decoders import AT_ONCE, Decoders
from gcahng.server.finder import Limits
from tests.gcahng.server.conftest import client_of, find_in
from tests.gcahng.server.waiting import wait_for_the_end


def test_what_a_function_returns_or_raises_comes_back(photos: Path) -> None:
    decoders = Decoders(600)
    content = (photos / "loose.jpg").read_bytes()
    assert decoders.run(os.getpid) != os.getpid()
    assert decoders.run(decode_image, content) == decode_image(content)
    with pytest.raises(TooManyPixels, match="120 × 90 pixels, more than 9"):
        decoders.run(decode_image, content, 9)


def test_what_takes_too_long_is_ended_and_replaced() -> None:
    decoders = Decoders(0.1)
    for _ in range(AT_ONCE + 1):
        with pytest.raises(ValueError, match=r"^decoding takes more than 0\.1 s$"):
            decoders.run(time.sleep, 600)


def test_a_process_that_dies_is_replaced() -> None:
    decoders = Decoders(600)
    for _ in range(AT_ONCE):
        with pytest.raises(ValueError, match="the process that decodes it ended"):
            decoders.run(os._exit, 1)
    assert decoders.run(int, "5") == 5


def test_the_server_answers_while_pictures_take_long(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gcahng.server.finder.decode_image", wait_for_the_end)
    pipes = [tmp_path / str(number) for number in range(AT_ONCE)]
    for pipe in pipes:
        os.mkfifo(pipe)
    finder = find_in(store, Limits(most_seconds=600))
    with client_of(finder) as client, ThreadPoolExecutor() as pool:
        uploads = [pool.submit(client.post, "/search", content=os.fsencode(p)) for p in pipes]
        # Waits until all decoders read.
        ends = [os.open(pipe, os.O_WRONLY) for pipe in pipes]
        for path in ("/", "/health", "/labels", "/pictures"):
            assert client.get(path).status_code == 200
        for end in ends:
            os.close(end)
        sentence = {"error": "the picture cannot be read: it has ended"}
        assert [upload.result().json() for upload in uploads] == [sentence] * AT_ONCE
