"""`gcahng serve` as a process, and the port that it listens on."""

import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from gcahng.reasons import install_extra
from gcahng.server.serve import is_loopback, listen, web_address
from tests.conftest import Call
from tests.gcahng.server.conftest import MADE

POSIX = pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")


@pytest.mark.slow
@POSIX
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_serves_until_ctrl_c_or_a_signal(number: int, store: Path, photos: Path) -> None:
    command = [sys.executable, "-m", "gcahng", "serve", str(store), "--port", "0"]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A shell may start the tests with Ctrl-C ignored, which a child inherits.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == f"{store}: {MADE} pictures\n"
        line = process.stdout.readline()
        found = re.fullmatch(r"(http://127\.0\.0\.1:(\d+)) \(Ctrl-C ends the server\)\n", line)
        assert found is not None
        assert httpx.get(f"{found[1]}/health").json()["status"] == "ok"
        content = (photos / "loose.jpg").read_bytes()
        near = httpx.post(f"{found[1]}/search?k=1", content=content).json()["neighbours"]
        assert near[0]["path"] == str(photos / "loose.jpg")
        process.send_signal(number)
        assert process.communicate(timeout=15) == ("", "")
        assert process.returncode == 0
    finally:
        process.kill()


def test_a_port_in_use_is_said_before_the_model_is_read(store: Path, call: Call) -> None:
    with listen("127.0.0.1", 0) as taken:
        port = str(taken.getsockname()[1])
        said = call("serve", store, "--port", port, "--model", "nowhere").err
    assert f"cannot listen on 127.0.0.1, port {port} (" in said


@pytest.mark.parametrize("name", ["starlette", "uvicorn"])
def test_a_missing_library_is_named(
    name: str, store: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    for loaded in [one for one in sys.modules if one.startswith("gcahng.server")]:
        monkeypatch.delitem(sys.modules, loaded)
    monkeypatch.setitem(sys.modules, name, None)
    assert call("serve", store).err == (
        f"error: gcahng serve needs {name}, which is not installed: {install_extra('search')}\n"
    )


def test_addresses() -> None:
    with listen("127.0.0.1", 0) as local:
        assert is_loopback(local)
        assert local.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert web_address("localhost", local) == f"http://localhost:{local.getsockname()[1]}"
    with listen("0.0.0.0", 0) as open_to_all:
        assert not is_loopback(open_to_all)
        name = socket.gethostname()
        assert web_address("0.0.0.0", open_to_all) == (
            f"http://{name}:{open_to_all.getsockname()[1]}"
        )
