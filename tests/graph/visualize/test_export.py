"""The batch graph as networkx sees it, and back from the files."""

from pathlib import Path

import networkx
import pytest
from torch_geometric.data import Data

from gcahng.graph.visualize import edge_weights, to_networkx, write_graph


def test_every_pair_is_an_edge_with_its_numbers(graph: Data) -> None:
    size, made = graph.x.size(0), to_networkx(graph)
    assert made.is_directed()
    assert (made.number_of_nodes(), made.number_of_edges()) == (size, size * (size - 1))
    coefficients, attention = edge_weights(graph)[0], edge_weights(graph, 2)[0]
    for i, j, edge in made.edges(data=True):
        place = i * size + j
        assert edge["weight"] == pytest.approx(float(coefficients[i, j]))
        assert edge["correlation"] == pytest.approx(float(graph.edge_attr[place].sum()))
        assert edge["attention_2"] == pytest.approx(float(attention[i, j]))
        assert edge["same_class"] == int(graph.y[i] == graph.y[j])
    assert made.nodes[6] == {"label": "bird 11 · 6", "y": 11}


@pytest.mark.parametrize("kind", ["graphml", "gexf"])
def test_files_come_back_as_they_were(graph: Data, tmp_path: Path, kind: str) -> None:
    graph.name = ["Übel\x01& <b>", *graph.name[1:]]
    path = tmp_path / f"batch.{kind}"
    write_graph(graph, path)
    read, made = getattr(networkx, f"read_{kind}")(path), to_networkx(graph)
    assert read.number_of_edges() == made.number_of_edges()
    assert read.edges["0", "7"]["weight"] == pytest.approx(made.edges[0, 7]["weight"])
    found = read.nodes["0"]
    assert found["label"] == "Übel & <b> · 0"
