"""The page of a batch graph in windows of several sizes."""

import time
from typing import Any

import pytest
from torch_geometric.data import Data

from tests.graph.visualize.conftest import make_graph


@pytest.mark.parametrize(("width", "height"), [(1280, 800), (390, 800)])
def test_nothing_overflows_the_window(show: Any, width: int, height: int) -> None:
    graph = make_graph(27, 3)
    graph.name = ["Donaudampfschifffahrtsgesellschaftskapitän" * 2] * 81
    opened = show(graph, width, height, links={f"picture {n}": f"{n}.html" for n in range(9)})
    for what in ("[data-node='5']", "summary"):
        opened.page.click(what)
        assert opened.page.evaluate("document.documentElement.scrollWidth") <= width
    inside = opened.page.evaluate(
        """() => { const box = byId('picture').getBoundingClientRect();
        return [...document.querySelectorAll('.node')].every((node) => {
          const { left, right, top, bottom } = node.getBoundingClientRect();
          return left >= box.left && right <= box.right && top >= box.top && bottom <= box.bottom;
        }) }"""
    )
    assert inside


def test_resizing_moves_the_nodes(graph: Data, show: Any) -> None:
    opened = show(graph)
    opened.page.set_viewport_size({"width": 500, "height": 700})
    # The page allows no eval, which playwright's own way of waiting needs.
    deadline = time.monotonic() + 10
    while opened.page.evaluate("state.width") >= 500 and time.monotonic() < deadline:
        opened.page.wait_for_timeout(20)
    assert opened.page.evaluate("state.width") < 500
    opened.point_at_edge()
    assert "Pair" in opened.text("#card")
