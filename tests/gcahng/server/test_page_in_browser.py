"""The page of a store in a real browser."""

import csv
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageDraw

from gcahng.inference.store import picture_id
from tests.gcahng.server.conftest import COLOURS, EACH, MADE, QUOTED, draw

pytestmark = pytest.mark.slow


class Visit:
    """A visit of the page, which may neither complain nor ask another server."""

    def __init__(self, browser: Any, address: str) -> None:
        self.address = address
        self.complaints: list[str] = []
        self.page = browser.new_page(viewport={"width": 1280, "height": 800})
        self.page.set_default_timeout(10_000)
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", self._only_server)
        self.open()

    def _only_server(self, request: Any) -> None:
        if not request.url.startswith((f"{self.address}/", f"blob:{self.address}/")):
            self.complaints.append(f"request: {request.url}")

    def open(self, behind: str = "") -> None:
        self.page.goto("about:blank")
        self.page.goto(f"{self.address}/{behind}")
        self.wait()

    def wait(self) -> None:
        self.page.wait_for_selector("#found[aria-busy=false]", state="attached")

    def wait_for(self, text: str, where: str = "#heading") -> None:
        self.wait_until(
            "([where, text]) => document.querySelector(where).innerText.includes(text)",
            [where, text],
        )
        self.wait()

    def wait_until(self, condition: str, argument: Any = None) -> None:
        """Not `wait_for_function`, whose repeated evaluation the page's policy forbids."""
        until = time.monotonic() + 10
        while not self.page.evaluate(condition, argument):
            assert time.monotonic() < until, condition
            self.page.wait_for_timeout(20)

    @property
    def names(self) -> list[str]:
        return self.page.locator("#found .name").all_inner_texts()

    @property
    def labels(self) -> list[str]:
        return self.page.locator("#found .words b").all_inner_texts()

    @property
    def behind(self) -> str:
        return self.page.url.partition("#")[2]

    @property
    def caption(self) -> str:
        return self.page.inner_text("#caption")


@pytest.fixture
def visit(browser: Any, address: str) -> Iterator[Any]:
    visits: list[Visit] = []

    def start() -> Visit:
        visits.append(Visit(browser, address))
        return visits[-1]

    yield start
    for one in visits:
        one.page.close()
        assert one.complaints == []


def test_a_chosen_picture_finds_similar_ones(visit: Any, photos: Path) -> None:
    opened = visit()
    assert (
        opened.page.inner_text("#about") == f"{MADE} pictures in server-store, model server-model"
    )
    assert opened.page.inner_text("#heading") == "Or start from one of these"
    assert len(opened.names) == 24
    opened.page.set_input_files("#file", photos / "lamp" / "3 é.jpg")
    opened.wait_for("The 24 most similar pictures")
    assert opened.names[0] == "3 é.jpg"
    assert opened.labels[0] == "lamp"
    numbers = opened.page.locator(".similarity").all_inner_texts()
    assert numbers[0] == "1.000"
    assert numbers == sorted(numbers, reverse=True)
    assert "Your picture" in opened.caption
    assert "× lamp" in opened.page.inner_text("#summary")
    assert opened.page.evaluate("byId('shown').naturalWidth") == 120
    opened.wait_until("[...document.images].every((one) => one.naturalWidth)")


def test_a_result_is_searched_with_and_back_again(visit: Any) -> None:
    opened = visit()
    for _ in range(2):
        before = opened.caption if opened.behind else ""
        second = opened.page.locator("#found li").nth(1)
        name = second.locator(".name").inner_text()
        second.locator(".search").click()
        opened.wait_for(name, "#caption")
        opened.wait_for("most similar")
        assert opened.behind.startswith("id=")
        assert opened.page.evaluate("document.activeElement.id") == "heading"
    assert opened.page.get_attribute(".search", "aria-label").startswith("Search with ")
    with opened.page.expect_popup() as info:
        opened.page.click("#original")
    info.value.wait_for_load_state()
    assert info.value.evaluate("document.contentType").startswith("image/")
    assert info.value.evaluate("document.images[0].naturalWidth") == 120
    info.value.close()
    opened.page.keyboard.press("Escape")
    opened.wait_for(before, "#caption")
    opened.page.go_back()
    opened.wait_for("Or start")
    opened.page.go_forward()
    opened.wait_for("most similar")
    opened.page.click("#again")
    opened.wait_for("Or start")


def test_labels_filter_and_are_bookmarked(visit: Any, photos: Path) -> None:
    opened = visit()
    options = opened.page.locator("#label option").all_inner_texts()
    assert options == [f"All labels ({MADE})", *(f"{name} ({EACH})" for name in sorted(COLOURS))]
    key = picture_id(str(photos / "lamp" / "1 é.png"))
    opened.open(f"#id={key}")
    opened.page.select_option("#label", QUOTED)
    opened.page.select_option("#k", "12")
    opened.wait_for(f"The {EACH} most similar pictures with the label {QUOTED}")
    assert opened.labels == [QUOTED] * EACH
    kept = f"#{opened.behind}"
    opened.open()
    opened.open(kept)
    assert opened.labels == [QUOTED] * EACH
    assert opened.page.input_value("#k") == "12"
    # A click keeps the filter.
    opened.page.locator(".search").first.click()
    opened.wait_for(QUOTED, "#caption")
    assert opened.labels == [QUOTED] * (EACH - 1)


def test_dropped_and_pasted_pictures(visit: Any, tmp_path: Path) -> None:
    draw(tmp_path / "new.png", COLOURS["bowl"], 55)
    opened = visit()
    content = list((tmp_path / "new.png").read_bytes())
    transfer = opened.page.evaluate_handle(
        """(content) => {
          const transfer = new DataTransfer();
          transfer.items.add(new File([new Uint8Array(content)], 'new.png', {type: 'image/png'}));
          return transfer;
        }""",
        content,
    )
    opened.page.dispatch_event("body", "dragover", {"dataTransfer": transfer})
    assert "dragging" in opened.page.get_attribute("body", "class")
    opened.page.dispatch_event("body", "drop", {"dataTransfer": transfer})
    opened.wait_for("most similar")
    assert not opened.page.get_attribute("body", "class")
    assert opened.caption.endswith("new.png")
    found = opened.names
    opened.page.click("#again")
    opened.wait_for("Or start")
    opened.page.evaluate(
        "(clipboardData) => document.dispatchEvent(new ClipboardEvent('paste', {clipboardData}))",
        transfer,
    )
    opened.wait_for("most similar")
    assert opened.names == found


def draw_two(path: Path) -> Path:
    """A lamp at the left, a bowl at the right."""
    image = Image.new("RGB", (240, 90), "white")
    pen = ImageDraw.Draw(image)
    pen.ellipse((20, 10, 70, 60), fill=COLOURS["lamp"])
    pen.ellipse((140, 10, 190, 60), fill=COLOURS["bowl"])
    image.save(path)
    return path


def test_a_dragged_part_is_searched_with(visit: Any, tmp_path: Path) -> None:
    opened = visit()
    opened.page.set_input_files("#file", draw_two(tmp_path / "two.png"))
    opened.wait_for("two.png", "#caption")
    opened.wait_until("byId('shown').naturalWidth === 240")
    box = opened.page.locator("#picture").bounding_box()
    assert box["width"] == pytest.approx(box["height"] * 240 / 90, abs=1)
    mouse = opened.page.mouse
    mouse.click(box["x"] + 9, box["y"] + 9)
    assert opened.page.is_hidden("#frame")
    mouse.move(box["x"] + box["width"] / 2, box["y"] + 1)
    mouse.down()
    mouse.move(box["x"] + box["width"] + 50, box["y"] + box["height"] + 50)
    assert opened.page.locator("#frame").bounding_box()["width"] == pytest.approx(
        box["width"] / 2, abs=3
    )
    mouse.up()
    opened.wait_for("Part of two.png", "#caption")
    opened.wait_for("most similar")
    assert opened.labels[:3] == ["bowl"] * 3
    opened.wait_until("byId('shown').naturalWidth === 120")
    assert opened.page.is_hidden("#frame")
    opened.page.go_back()
    opened.wait_until("byId('shown').naturalWidth === 240")


def test_a_threshold_and_the_results_as_csv(visit: Any, photos: Path) -> None:
    opened = visit()
    assert opened.page.is_hidden("#filter")
    opened.page.set_input_files("#file", photos / QUOTED / "3 é.jpg")
    opened.wait_for("The 24 most similar pictures")
    rows = saved_rows(opened)
    assert len(rows) == 24
    assert rows[0]["path"] == str(photos / QUOTED / "3 é.jpg")
    assert rows[0]["label"] == QUOTED
    similarities = [float(row["similarity"]) for row in rows]
    # The untrained network finds all drawings alike.
    opened.page.evaluate("byId('least').step = 'any'")
    least = (similarities[6] + similarities[7]) / 2
    opened.page.evaluate(
        """(least) => {
          byId('least').value = least;
          byId('least').dispatchEvent(new Event('input'));
        }""",
        least,
    )
    assert opened.page.inner_text("#heading") == "7 of the 24 most similar pictures"
    assert opened.page.locator("#found li:visible").count() == 7
    assert saved_rows(opened) == rows[:7]
    # It stays for the next search.
    opened.page.locator(".search").nth(1).click()
    opened.wait_for("of the 24 most similar")
    numbers = opened.page.locator("#found li:visible .similarity").all_inner_texts()
    assert all(float(number) >= round(least, 3) for number in numbers)


def saved_rows(opened: Visit) -> list[dict[str, str]]:
    with opened.page.expect_download() as info:
        opened.page.click("#csv")
    assert info.value.suggested_filename == "similar.csv"
    with open(info.value.path(), encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_errors_are_sentences(browser: Any, address: str, tmp_path: Path) -> None:
    (tmp_path / "notes.png").write_text("no picture")
    # The browser itself writes refused requests to its console.
    opened = Visit(browser, address)
    opened.page.set_input_files("#file", tmp_path / "notes.png")
    opened.wait_for("The picture cannot be read: not an image in a known format.", "#message")
    assert opened.page.inner_text("#caption").endswith("notes.png")
    assert opened.names == []
    opened.open(f"#id={'0' * 32}")
    opened.wait_for("The store has no picture with this id.", "#message")
    opened.open()
    opened.page.evaluate("server.most_bytes = 5")
    opened.page.set_input_files("#file", tmp_path / "notes.png")
    opened.wait_for("notes.png is too large", "#message")
    opened.page.locator(".search").first.click()
    opened.wait_for("most similar")
    opened.page.route("**/search*", lambda route: route.abort())
    opened.page.locator(".search").first.click()
    opened.wait_for("The server does not answer.", "#message")
    opened.page.close()
