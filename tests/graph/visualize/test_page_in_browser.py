"""The page of a batch graph in a real browser: what it shows and how it answers."""

import math
from typing import Any

import numpy as np
import pytest
from torch_geometric.data import Data

from gcahng.graph.visualize import edge_weights, graph_page
from tests.graph.visualize.browsing import bare_graph, drawn, stored
from tests.graph.visualize.test_page import data_of

HOSTILE = '</script><b id="injected">&amp; "Ährenfisch" \u2028 鷺'


def test_pointing_at_a_node_shows_its_picture_and_neighbours(graph: Data, show: Any) -> None:
    opened = show(graph)
    assert "Point at a node" in opened.text("#card")
    opened.page.hover("[data-node='7']")
    card = opened.text("#card")
    assert "bird 12" in card
    assert "Node 7" in card
    picture = opened.page.get_attribute("#card .large img", "src")
    assert picture == data_of(graph_page(graph))["nodes"][7]["image"]
    near = data_of(graph_page(graph))["nodes"][7]["near"]
    lines = opened.page.locator("#card .near li").all_inner_texts()
    for line, (other, cosine) in zip(lines, near, strict=True):
        assert graph.name[other] in line
        assert f"{cosine:.2f}".replace("-", "−") in line
        assert ("✓" in line) == (other % 5 == 7 % 5)
        assert ("✗" in line) != ("✓" in line)


def test_pointing_at_an_edge_shows_its_weight_and_profile(graph: Data, show: Any) -> None:
    opened = show(graph)
    a, b = opened.point_at_edge()
    card = opened.text("#card")
    assert f"Pair {a} – {b}" in card
    assert ("same class" if a % 5 == b % 5 else "different classes") in card
    assert f"{float(edge_weights(graph)[0][a, b]):.3f}" in card
    assert opened.page.locator("#card .large img").count() == 2
    heights = opened.page.evaluate(
        "[...document.querySelectorAll('.profile .bar')]"
        ".map((bar) => bar.getAttribute('height') / 100)"
    )
    order = graph.coefficients.var(0, correction=0).argsort(descending=True, stable=True)
    assert np.allclose(heights, graph.coefficients[a * 15 + b][order], atol=1 / 255)
    assert "Each bar is the mean" not in card
    assert opened.classes(a) >= {"chosen"}


def test_sliders_draw_what_the_weights_say(graph: Data, show: Any) -> None:
    opened = show(graph)
    weights = stored(edge_weights(graph)[0])
    low = float(opened.page.get_attribute("#threshold", "min"))
    high = float(opened.page.get_attribute("#threshold", "max"))
    counts = set()
    for top in (1, 4, 14):
        opened.slide("top", top)
        for share in (0, 0.4, 0.8, 1):
            threshold = opened.slide("threshold", low + share * (high - low))
            assert opened.count == len(drawn(weights, top, threshold, directed=False))
            counts.add(opened.count)
        opened.slide("threshold", low)
    assert len(counts) > 6
    assert 0 in counts
    assert "of 105 pairs" in opened.text("#count")


def test_layer_and_head_choose_the_attention(graph: Data, show: Any) -> None:
    opened = show(graph)
    assert opened.page.is_disabled("#layer")
    assert opened.page.is_disabled("#head")
    opened.page.check("[value=attention]")
    threshold = 0.09
    attention = [one.view(15, 15, 4) for one in graph.attention]
    for layer in (1, 2):
        opened.slide("layer", layer - 1)
        for head in range(5):
            opened.slide("head", head)
            heads = [stored(one) for one in attention[layer - 1].unbind(-1)]
            weights = heads[head - 1] if head else np.mean(heads, axis=0)
            which = f"head {head}" if head else "mean of its heads"
            assert opened.text("#scale-name") == f"Attention of layer {layer}, {which}"
            found = opened.slide("threshold", threshold)
            opened.slide("top", 6)
            edges = drawn(weights, 6, found, directed=True)
            assert opened.count == len(edges)
            pairs = opened.page.evaluate("state.edges.map(({a, b, weight}) => [a, b, weight])")
            assert {(a, b) for a, b, _ in pairs} == edges
            assert all(weight == pytest.approx(weights[a, b]) for a, b, weight in pairs)
    a, b = opened.point_at_edge()
    assert f"node {b} attends to node {a}" in opened.text("#card")
    assert f"{weights[a, b]:.4f}" in opened.text("#card")


def test_a_click_keeps_a_neighbourhood(graph: Data, show: Any) -> None:
    opened = show(graph)
    edges = drawn(stored(edge_weights(graph)[0]), 3, -math.inf, directed=False)
    near = {end for edge in edges if 4 in edge for end in edge}
    opened.page.click("[data-node='4']")
    opened.page.mouse.move(2, 2)
    assert opened.kept
    assert {node for node in range(15) if "near" in opened.classes(node)} == near
    far = next(node for node in range(15) if node not in near)
    faded = "(e) => getComputedStyle(e).opacity"
    assert float(opened.page.eval_on_selector(f"[data-node='{far}']", faded)) < 0.3
    assert "Node 4" in opened.text("#card")

    opened.page.hover(f"[data-node='{far}']")
    assert f"Node {far}" in opened.text("#card")
    assert "With the kept node 4" in opened.text("#card")
    opened.page.keyboard.press("Escape")
    assert not opened.kept


def test_the_keyboard_is_enough(graph: Data, show: Any) -> None:
    opened = show(graph)
    opened.page.focus("[data-node='0']")
    opened.page.keyboard.press("ArrowRight")
    opened.page.keyboard.press("ArrowRight")
    assert "Node 2" in opened.text("#card")
    opened.page.keyboard.press("Enter")
    assert opened.kept
    opened.page.keyboard.press("End")
    assert "Node 14" in opened.text("#card")
    opened.page.keyboard.press("Escape")
    assert not opened.kept
    before = opened.count
    opened.page.focus("#top")
    opened.page.keyboard.press("ArrowRight")
    assert opened.count > before


def test_hostile_names_are_only_text(graph: Data, show: Any) -> None:
    graph.name = [f"{HOSTILE} {label}" for label in graph.y.tolist()]
    opened = show(graph, title=HOSTILE, links={HOSTILE: "other.html"})
    opened.page.hover("[data-node='7']")
    named = opened.page.text_content("#card h2")
    assert named == f"{HOSTILE} 12"
    assert opened.page.locator("#injected").count() == 0
    assert opened.page.text_content("h1") == HOSTILE
    assert opened.page.get_attribute("nav a", "href") == "other.html"


def test_a_graph_with_nothing_learned_works(show: Any) -> None:
    graph = bare_graph()
    opened = show(graph)
    for control in ("[value=coefficient]", "[value=attention]", "#layer", "#head"):
        assert opened.page.is_disabled(control)
    assert opened.page.is_checked("[value=correlation]")
    weights = stored(graph.edge_attr.sum(-1).view(15, 15))
    assert opened.count == len(drawn(weights, 3, -math.inf, directed=False))
    assert opened.page.locator("img").count() == 0
    opened.page.hover("[data-node='7']")
    assert "class 12" in opened.text("#card")
    opened.point_at_edge()
    assert opened.page.locator(".profile").count() == 0
