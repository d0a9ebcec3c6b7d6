"""`gcahng embed`, `index` and `search` as a user calls them."""

import json
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from tests.conftest import Call
from tests.gcahng.inference.conftest import TINY, _photos, model_folder, photos, tiny_weights

__all__ = ["_photos", "model_folder", "photos", "tiny_weights"]


pytestmark = pytest.mark.usefixtures("here")


def test_from_pictures_to_neighbours(call: Call, model_folder: Path, photos: Path) -> None:
    (photos / "cup" / "broken.png").write_bytes(b"no picture")
    _, out, err = call("index", model_folder, photos, "--store", "shop")
    assert out == "shop: 18 pictures (18 added, 0 replaced, 0 deleted, 0 unchanged)\n"
    assert "left out, because they cannot be read: 1" in err
    assert "broken.png: not an image in a known format" in err
    query = photos / "cup" / "0.png"
    out = call("search", "shop", query, photos / "lamp" / "0.png", "-k", 3).out
    assert out.count("similarity") == 2
    assert "cup/0.png" in out.replace("\n", "")


@pytest.mark.slow
def test_no_training_is_needed(call: Call, tiny_weights: Path, photos: Path) -> None:
    from gcahng.inference.embedder import load_embedder

    weights = ("--weights", tiny_weights)
    call("index", TINY, photos, *weights, "--store", "shop")
    query = photos / "cup" / "0.png"
    _, out, err = call("search", "shop", query, "-k", 1, "--json")
    assert json.loads(out)["neighbours"][0]["path"] == str(query)
    assert err == ""
    call("embed", TINY, query, *weights, "--out", "one.npy")
    call("share", TINY, *weights, "--to", "./shared")
    # A shared model that embeds alike is the store's model.
    call("search", "shop", query, "--model", "shared")
    call("export", TINY, *weights, "--onnx", "tiny.onnx")
    vectors = [load_embedder("shared").embed(query)[0].tolist(), np.load("one.npy")[0].tolist()]
    session = onnxruntime.InferenceSession("tiny.onnx", providers=["CPUExecutionProvider"])
    inputs = load_embedder("shared").transform(query)[None].numpy()
    vectors.append(session.run(None, {"images": inputs})[0][0].tolist())
    assert vectors[0] == pytest.approx(vectors[1], abs=1e-5)
    assert vectors[0] == pytest.approx(vectors[2], abs=1e-3)


def test_json_is_a_line_for_each_picture(call: Call, model_folder: Path, photos: Path) -> None:
    call("index", model_folder, photos, "--store", "shop")
    queries = [photos / "cup" / "0.png", photos / "lamp" / "1.png"]
    where = ("--where", "label != 'cup'")
    out = call("search", "shop", *queries, "-k", 2, "--json", "--html", "found.html", *where).out
    lines = [json.loads(line) for line in out.splitlines()]
    assert [line["picture"] for line in lines] == [str(query) for query in queries]
    assert all(len(line["neighbours"]) == 2 for line in lines)
    assert {near["label"] for near in lines[0]["neighbours"]} <= {"bowl", "lamp"}
    nearest = lines[1]["neighbours"][0]
    assert nearest["path"] == str(queries[1])
    assert nearest["similarity"] == pytest.approx(1, abs=1e-5)
    page = Path("found.html").read_text(encoding="utf-8")
    assert page.count("<figure") == 2 * (1 + 2)
    assert page.count("data:image/jpeg;base64,") == 6
    assert "http" not in page.replace("http-equiv", "")


def test_a_search_in_spite_of_an_index(call: Call, model_folder: Path, photos: Path) -> None:
    call("index", model_folder, photos, "--store", "shop", "--ann")
    out = call("search", "shop", photos / "cup" / "0.png", "--exact").out
    assert "similarity" in out


def test_bad_queries_are_listed_and_the_others_searched(
    call: Call, model_folder: Path, photos: Path
) -> None:
    call("index", model_folder, photos, "--store", "shop")
    Path("broken.png").write_bytes(b"no picture")
    queries = ["broken.png", str(photos / "cup" / "0.png"), "nowhere.png", str(photos)]
    said = call("search", "shop", *queries, "--json")
    assert said.status == 1
    assert [json.loads(line)["picture"] for line in said.out.splitlines()] == [queries[1]]
    assert "There is no image 'nowhere.png'" in said.err
    assert "(Is a directory)" in said.err
