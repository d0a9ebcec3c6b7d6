"""The Python API with input that cannot be: an error of ours that says what is wrong.

An error of a library, such as an overflow in the store's, or a result would not say it. What has
another Python type altogether, such as None in place of a path, is left to Python's own TypeError.
"""

import math
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from PIL import Image

from gcahng import (
    HardNegativeGenerator,
    load_embedder,
    load_run,
    retrieval_metrics,
)
from gcahng.config import load_config
from gcahng.data import ClassBalancedBatchSampler, build_dataset, build_transform
from gcahng.inference.embedder import TrainedEmbedder
from gcahng.inference.store import PictureStore, StoreModel
from gcahng.models import BACKBONES, Embedder, SmallConv

ROOT = Path(__file__).resolve().parents[2]
Z, Y = torch.ones(6, 8), torch.tensor([0, 1, 2, 0, 1, 2])
IMAGE = torch.rand(1, 8, 8)
NAN = math.nan
NO_PATHS = ("", "nowhere", "no/where", "a\0b", "https://a.org/b", "~nobody/b", "file", ".")
NO_COUNTS = (0, -1, 2.5, "2", NAN, math.inf, [2], True)
NO_EMBEDDINGS = (Z[:0], Z.long(), Z * NAN, Z[0], Z[None], Z[:, :0])
NO_LABELS = (Y.float(), Y[:5], Y[None], torch.arange(6))
NO_IMAGES = ("file", "", "nowhere", Image.new("RGB", (0, 0)), Image.new("F", (4, 4), 2.0), 5)
NO_IMAGES += (torch.zeros(2, 8, 8), torch.zeros(3, 0, 8), IMAGE * NAN, IMAGE * 255, IMAGE.int())
NO_IMAGES += (IMAGE.to("meta"), np.zeros((8, 8, 4)), np.array("x"), [IMAGE, None])
NO_DEVICES = ("tpu", "", "cpu:x", "cuda:99", ["cpu"])
NO_CONDITIONS = ({"label": "x"}, "", "label = ", "nope = 1", "\0", 5)
NO_NAMES = ("", "nope", "timm/nope", "timm/hf-hub:a/b", "a:b", "os:path", ":", "a:b:c", None, 5)


class Stage(NamedTuple):
    """What the calls need."""

    model: TrainedEmbedder
    store: PictureStore
    run: Path


@pytest.fixture(scope="module")
def stage(digits_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Stage:
    model = load_embedder(digits_run)
    made = StoreModel("x", model.fingerprint, model.dim)
    return Stage(model, PictureStore.create(tmp_path_factory.mktemp("store"), made), digits_run)


Call = Callable[[Stage, Any], Any]


def graph_of(**graph: Any) -> HardNegativeGenerator:
    return HardNegativeGenerator(8, 3, graph=graph)


CALLS: dict[str, tuple[Call, tuple[Any, ...]]] = {
    "load_embedder": (lambda s, x: load_embedder(x), NO_PATHS),
    "load_embedder device": (lambda s, x: load_embedder(s.run, device=x), NO_DEVICES),
    "load_embedder revision": (lambda s, x: load_embedder(s.run, revision=x), ("main",)),
    "load_run": (lambda s, x: load_run(x), NO_PATHS),
    "load_config": (lambda s, x: load_config(x), NO_PATHS),
    "load_config setting": (lambda s, x: load_config("digits", [x]), ("", "a", "seed=x", "a=1")),
    "PictureStore": (lambda s, x: PictureStore(x), NO_PATHS),
    "embed": (lambda s, x: s.model.embed(x), NO_IMAGES),
    "embed batch_size": (lambda s, x: s.model.embed(IMAGE, batch_size=x), NO_COUNTS),
    "search k": (lambda s, x: s.model.search(s.store, IMAGE, x), NO_COUNTS),
    "search where": (lambda s, x: s.model.search(s.store, IMAGE, where=x), NO_CONDITIONS),
    "search vector": (lambda s, x: s.store.search(x), (Z, Z[0] * NAN, Z[0] * 0, Z.tolist(), None)),
    "metrics": (lambda s, x: retrieval_metrics(x, Y), NO_EMBEDDINGS),
    "metrics labels": (lambda s, x: retrieval_metrics(Z, x), NO_LABELS),
    "metrics ks": (lambda s, x: retrieval_metrics(Z, Y, [x]), NO_COUNTS),
    "metrics all ks": (lambda s, x: retrieval_metrics(Z, Y, x), ((), 5, None, "1")),
    "metrics is_query": (lambda s, x: retrieval_metrics(Z, Y, is_query=x), (Y, Y > 9)),
    "generator dim": (lambda s, x: HardNegativeGenerator(x, 3), NO_COUNTS),
    "generator classes": (lambda s, x: HardNegativeGenerator(8, x), NO_COUNTS),
    "generator heads": (lambda s, x: graph_of(heads=x), (0, -1, 3)),
    "generator temperature": (lambda s, x: HardNegativeGenerator(8, 3, temperature=x), (0, NAN)),
    "generator path": (lambda s, x: graph_of(path=x), ("nope", None)),
    "generator conv": (
        lambda s, x: graph_of(conv=x),
        ("nope", "os:path"),
    ),
    "Embedder": (lambda s, x: Embedder(SmallConv(), x), NO_COUNTS),
    "sampler classes": (lambda s, x: ClassBalancedBatchSampler(Y, x, 2), NO_COUNTS),
    "sampler samples": (lambda s, x: ClassBalancedBatchSampler(Y, 2, x), NO_COUNTS),
    "sampler seed": (lambda s, x: ClassBalancedBatchSampler(Y, 2, 2, x), NO_COUNTS[1:]),
    "sampler labels": (lambda s, x: ClassBalancedBatchSampler(x, 2, 2), NO_LABELS[:1]),
    "backbone": (lambda s, x: BACKBONES.build(x), NO_NAMES),
    "data set": (lambda s, x: build_dataset(x, "train"), NO_NAMES),
    "data set split": (lambda s, x: build_dataset("digits", x), ("", "dev")),
    "transform": (lambda s, x: build_transform(x, True), NO_NAMES),
    "transform size": (lambda s, x: build_transform("imagenet", True, size=x), NO_COUNTS),
}
CASES = [
    pytest.param(name, value, id=f"{name} {number}")
    for name, (_, values) in CALLS.items()
    for number, value in enumerate(values)
]


@pytest.mark.parametrize(("name", "value"), CASES)
def test_a_call_is_refused(
    name: str, value: Any, stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("just text")
    call, _ = CALLS[name]
    with pytest.raises((ValueError, TypeError, OSError)) as info:
        call(stage, value)
    raised = traceback.extract_tb(info.value.__traceback__)[-1]
    assert Path(raised.filename).is_relative_to(ROOT), f"{raised}: {info.value}"
    assert "\n" not in str(info.value)
    assert list(tmp_path.iterdir()) == [tmp_path / "file"], "something is left behind"
