"""The page of a batch graph in a browser: how tests read and operate it."""

import re
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor
from torch_geometric.data import Data

from tests.graph.visualize.conftest import make_graph


def stored(weights: Tensor) -> np.ndarray:
    """Weights as the page has them: 65,536 evenly spaced values."""
    values = weights.double().numpy()
    low = values.min()
    step = (values.max() - low) / 65535
    return low + step * np.rint((values - low) / step)


def drawn(weights: np.ndarray, top: int, threshold: float, directed: bool) -> set[tuple[int, int]]:
    """The strongest edges into each node above the threshold; undirected ones once."""
    edges = set()
    for node in range(len(weights)):
        others = [other for other in range(len(weights)) if other != node]
        others.sort(key=lambda other: (-weights[other, node], other))
        for other in others[:top]:
            if weights[other, node] > threshold:
                pair = (other, node)
                edges.add(pair if directed else (min(pair), max(pair)))
    return edges


def bare_graph() -> Data:
    whole = make_graph()
    return Data(x=whole.x, edge_index=whole.edge_index, edge_attr=whole.edge_attr, y=whole.y)


class Opened:
    """A page opened from a file that may neither complain nor ask for anything else."""

    def __init__(self, browser: Any, file: Path, width: int, height: int) -> None:
        self.complaints: list[str] = []
        self.page = browser.new_page(viewport={"width": width, "height": height})
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.route("**/*", self._only_file)
        self.page.goto(file.as_uri())

    def _only_file(self, route: Any) -> None:
        if route.request.url.startswith("file:"):
            route.continue_()
        else:
            self.complaints.append(f"request: {route.request.url}")
            route.abort()

    def text(self, what: str) -> str:
        return self.page.inner_text(what)

    @property
    def count(self) -> int:
        words = self.text("#count")
        return int(re.sub(r"[^0-9]", "", words.partition(" of ")[0]))

    def slide(self, name: str, value: float) -> float:
        """Move a slider; the value that it takes."""
        return self.page.evaluate(
            "([name, value]) => { const slider = document.getElementById(name);"
            "slider.value = value; slider.dispatchEvent(new Event('input'));"
            "return slider.valueAsNumber }",
            [name, value],
        )

    def point_at_edge(self) -> tuple[int, int]:
        """Move the mouse to where an edge is free of nodes and of other edges; the edge."""
        x, y, a, b = self.page.evaluate(
            """() => {
              const box = byId('edges').getBoundingClientRect();
              for (const edge of state.edges) for (const share of [.5, .4, .6, .3, .7]) {
                const {x, y} = along(edge, share);
                const hit = edgeAt(x, y, 1);
                if (document.elementFromPoint(box.left + x, box.top + y) === byId('edges')
                    && hit && hit.a === edge.a && hit.b === edge.b)
                  return [box.left + x, box.top + y, edge.a, edge.b];
              }
            }"""
        )
        self.page.mouse.move(x, y)
        return a, b

    def classes(self, node: int) -> set[str]:
        return set(self.page.get_attribute(f"[data-node='{node}']", "class").split())

    @property
    def kept(self) -> bool:
        return "keeping" in (self.page.get_attribute("#picture", "class") or "")
