"""The page of a batch graph as text: what is in it."""

import base64
import io
import json
import re
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional as F
from torch_geometric.data import Data

from gcahng.graph.visualize import edge_weights, graph_page
from tests.graph.visualize.conftest import make_graph


def data_of(page: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.S)
    assert found
    return json.loads(found[1])


def unpack(packed: dict[str, Any], dtype: str) -> np.ndarray:
    numbers = np.frombuffer(base64.b64decode(packed["packed"]), dtype)
    return packed["low"] + packed["step"] * numbers.astype(float)


def test_equal_input_gives_equal_bytes() -> None:
    assert graph_page(make_graph()) == graph_page(make_graph())


def test_weights_of_pairs_are_stored_within_half_a_step(graph: Data) -> None:
    data = data_of(graph_page(graph))
    row, col = np.triu_indices(15)
    correlation = graph.edge_attr.sum(-1).view(15, 15)
    for key, weights in (("coefficient", edge_weights(graph)[0]), ("correlation", correlation)):
        found = unpack(data[key], "<u2")
        assert np.abs(found - weights.numpy()[row, col]).max() <= 0.5001 * data[key]["step"]
        assert data[key]["step"] == pytest.approx(float(weights.max() - weights.min()) / 65535)


def test_attention_is_stored_by_layer_and_head(graph: Data) -> None:
    graph.attention[0] = None
    (layer,) = data_of(graph_page(graph))["attention"]
    assert layer["layer"] == 2
    assert len(layer["heads"]) == 4
    for head, packed in enumerate(layer["heads"]):
        weights = graph.attention[1][:, head].numpy()
        assert np.abs(unpack(packed, "<u2") - weights).max() <= 0.5001 * packed["step"]


@pytest.mark.parametrize(("channels", "sizes"), [(16, [1] * 16), (160, [3] * 32 + [2] * 32)])
def test_profiles_are_means_over_channels_by_variance(channels: int, sizes: list[int]) -> None:
    graph = make_graph(channels=channels)
    profile = data_of(graph_page(graph))["profile"]
    assert profile["sizes"] == sizes
    values = graph.coefficients.double().numpy()
    order = np.argsort(-values.var(0), kind="stable")
    ends = np.cumsum(sizes)
    bars = np.stack(
        [values[:, order[end - size : end]].mean(1) for end, size in zip(ends, sizes, strict=True)],
        axis=1,
    )
    half = [i * 15 + j for i in range(15) for j in range(i, 15)]
    found = unpack(profile, "u1").reshape(len(half), -1)
    assert np.abs(found - bars[half]).max() <= 0.5001 * profile["step"]
    assert profile["step"] <= 1 / 255
    assert np.allclose(profile["mean"], bars.mean(0), atol=1e-4)


def test_nodes_have_their_neighbours_and_places(graph: Data) -> None:
    data = data_of(graph_page(graph))
    unit = F.normalize(graph.x.double(), dim=-1)
    for index, node in enumerate(data["nodes"]):
        others = [other for other in range(15) if other != index]
        cosines = {other: float(unit[index] @ unit[other]) for other in others}
        expected = sorted(others, key=lambda other: -cosines[other])[:8]
        assert [other for other, _ in node["near"]] == expected
        assert all(abs(cosine - cosines[other]) < 1e-4 for other, cosine in node["near"])
        assert node["name"] == f"bird {10 + index % 5}"
    places = np.array([node["place"] for node in data["nodes"]])
    assert (places.min(0) == 0).all()
    assert (places.max(0) == 1).all()


@pytest.mark.parametrize(("height", "width"), [(28, 28), (224, 112)])
def test_pictures_are_small(graph: Data, height: int, width: int) -> None:
    graph.image = torch.zeros(15, 3, height, width, dtype=torch.uint8)
    graph.image[:, 0, height // 2 :] = 200
    head, _, text = data_of(graph_page(graph))["nodes"][3]["image"].partition(",")
    assert head == "data:image/jpeg;base64"
    picture = Image.open(io.BytesIO(base64.b64decode(text)))
    assert picture.size == ((28, 28) if height == 28 else (32, 64))
    red, green, _ = picture.getpixel((10, picture.height - 2))
    assert abs(red - 200) < 6
    assert green < 6


def test_links_and_title_are_escaped(graph: Data) -> None:
    page = graph_page(graph, title="<i>T", links={"A & B": 'x".html'})
    assert "<i>" not in page
    assert '<a href="x&#34;.html">A &amp; B</a>' in page
