"""A store of drawn pictures, embedded by a small network with random weights, and its server."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvicorn
from PIL import Image, ImageDraw
from starlette.testclient import TestClient

from gcahng.inference.embedder import load_embedder, load_store_model
from gcahng.inference.indexing import index_folder
from gcahng.inference.store import PictureStore
from gcahng.server.app import build_app
from gcahng.server.finder import Finder, Limits
from gcahng.server.serve import listen
from tests.conftest import MakeOnce
from tests.gcahng.inference.conftest import write_model

HERE = "http://127.0.0.1:8000"
QUOTED = 'children\'s "cup" \\ %'
COLOURS = {"bowl": "#b03020", "lamp": "#20a040", QUOTED: "#3040c0"}
EACH = 9
MADE = len(COLOURS) * EACH + 1


def draw(path: Path, colour: str, size: int = 30) -> None:
    """Draw a disc on white; small pictures of one colour are similar."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.new("RGB", (120, 90), "white")
    ImageDraw.Draw(image).ellipse((20, 10, 20 + size, 10 + size), fill=colour)
    image.save(path)


def draw_photos(folder: Path) -> None:
    for label, colour in COLOURS.items():
        for number in range(EACH):
            ending = ("jpg", "png", "tif")[number % 3]
            draw(folder / label / f"{number} é.{ending}", colour, 20 + 6 * number)
    draw(folder / "loose.jpg", "black")


def index(photos: Path, model: Path, store: Path) -> None:
    index_folder(load_embedder(model), photos, str(store))


def find_in(store: Path, limits: Limits | None = None) -> Finder:
    opened = PictureStore(store)
    return Finder(opened, load_store_model(opened), limits)


def client_of(finder: Finder) -> TestClient:
    return TestClient(build_app(finder), base_url=HERE, raise_server_exceptions=False)


@pytest.fixture(scope="session")
def model(make_once: MakeOnce) -> Path:
    """A shared model with random weights."""
    return make_once("server-model", lambda folder: write_model(folder, 0))


@pytest.fixture(scope="session")
def photos(make_once: MakeOnce) -> Path:
    return make_once("server-photos", draw_photos)


@pytest.fixture(scope="session")
def store(make_once: MakeOnce, photos: Path, model: Path) -> Path:
    return make_once("server-store", lambda folder: index(photos, model, folder))


@pytest.fixture(scope="session")
def finder(store: Path) -> Finder:
    return find_in(store)


@pytest.fixture
def client(finder: Finder) -> Iterator[TestClient]:
    with client_of(finder) as opened:
        yield opened


@pytest.fixture(scope="module")
def address(finder: Finder) -> Iterator[str]:
    """A server in a thread, as `gcahng serve` starts it; its address."""
    opened = listen("127.0.0.1", 0)
    server = uvicorn.Server(uvicorn.Config(build_app(finder), log_level="warning", lifespan="on"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [opened]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{opened.getsockname()[1]}"
    server.should_exit = True
    thread.join(10)
    opened.close()
