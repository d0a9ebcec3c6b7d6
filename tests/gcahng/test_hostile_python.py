"""The Python API with input that cannot be: one sentence of ours, and nothing left behind."""

import math
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch

from gcahng import HardNegativeGenerator, load_embedder, load_run, retrieval_metrics
from gcahng.config import load_config
from gcahng.data import ClassBalancedBatchSampler, build_dataset, build_transform
from gcahng.evaluation.retrieval import nearest_neighbours
from gcahng.generators import GENERATORS
from gcahng.graph import CorrelationNetwork
from gcahng.inference.embedder import TrainedEmbedder
from gcahng.inference.store import PictureStore, StoreModel
from gcahng.losses import NPairLoss, ProxyAnchorLoss
from gcahng.models import BACKBONES, Embedder, SmallConv
from gcahng.models.heads import WhiteningHead

ROOT = Path(__file__).resolve().parents[2]
Z, Y = torch.ones(6, 8), torch.tensor([0, 1, 2, 0, 1, 2])
IMAGE = torch.rand(1, 8, 8)


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


CALLS: dict[str, tuple[Callable[[Stage, Any], Any], tuple[Any, ...]]] = {
    "load_embedder": (lambda s, x: load_embedder(x), ("", "no/where", "a\0b", "https://a.org/b")),
    "load_embedder device": (lambda s, x: load_embedder(s.run, device=x), ("tpu", "cuda:99")),
    "load_embedder revision": (lambda s, x: load_embedder(s.run, revision=x), ("main",)),
    "load_run": (lambda s, x: load_run(x), ("nowhere", "file", ".")),
    "load_config": (lambda s, x: load_config(x), ("nowhere", "file", "~nobody/b")),
    "PictureStore": (lambda s, x: PictureStore(x), ("nowhere", "file", "https://a.org/b")),
    "embed": (lambda s, x: s.model.embed(x), ("file", IMAGE * 255, [IMAGE, None], 5)),
    "embed batch_size": (lambda s, x: s.model.embed(IMAGE, batch_size=x), (0, 2.5)),
    "search k": (lambda s, x: s.model.search(s.store, IMAGE, x), (0, "2", True)),
    "search where": (lambda s, x: s.model.search(s.store, IMAGE, where=x), ("", "nope = 1")),
    "search images": (lambda s, x: s.model.search(s.store, x), ([IMAGE, IMAGE],)),
    "search vector": (lambda s, x: s.store.search(x), (Z, Z[0] * math.nan, Z[0] * 0)),
    "metrics": (lambda s, x: retrieval_metrics(x, Y), (Z[:0], Z * math.nan, Z[0])),
    "metrics labels": (lambda s, x: retrieval_metrics(Z, x), (Y.float(), Y[:5])),
    "metrics ks": (lambda s, x: retrieval_metrics(Z, Y, x), ((), [0], [2.5])),
    "neighbours": (lambda s, x: nearest_neighbours(Z, x), (0, 6)),
    "proxy loss": (lambda s, x: ProxyAnchorLoss(3, 8, alpha=x), (0,)),
    "N-pair loss": (lambda s, x: NPairLoss(temperature=x), (0, math.nan)),
    "generator dim": (lambda s, x: HardNegativeGenerator(x, 3), (0, 2.5)),
    "generator heads": (lambda s, x: HardNegativeGenerator(8, 3, graph={"heads": x}), (0, 3)),
    "generator temperature": (lambda s, x: HardNegativeGenerator(8, 3, temperature=x), (0,)),
    "generator draws": (lambda s, x: HardNegativeGenerator(8, 3)(Z, Y, draws=x), (Z,)),
    "metrix": (lambda s, x: GENERATORS["metrix"](8, 3, mixing=x), (0,)),
    "untrained": (lambda s, x: GENERATORS["scalar"](8, 3).generator_losses(x, Y), (Z,)),
    "network": (lambda s, x: CorrelationNetwork(8, 3, layers=x), (-1,)),
    "Embedder": (lambda s, x: Embedder(SmallConv(), x), (0, "2")),
    "Embedder init": (lambda s, x: Embedder(SmallConv(), 8, init=x), ("he",)),
    "Embedder freeze": (lambda s, x: Embedder(SmallConv(), 8, freeze=x), (["all"],)),
    "whitening": (lambda s, x: WhiteningHead(4, x), (5,)),
    "sampler labels": (lambda s, x: ClassBalancedBatchSampler(x, 2, 2), (Z, Y.float())),
    "sampler seed": (lambda s, x: ClassBalancedBatchSampler(Y, 2, 2, seed=x), (-1, "1")),
    "sampler": (lambda s, x: ClassBalancedBatchSampler(Y, x, 2), (-1, 2.5)),
    "backbone": (lambda s, x: BACKBONES.build(x), ("", "nope", "os:path", None)),
    "data set": (lambda s, x: build_dataset(x, "train"), ("nope", "os:path")),
    "data set split": (lambda s, x: build_dataset("digits", x), ("dev",)),
    "folder": (lambda s, x: build_dataset("folder", "train", root=".", unreadable=x), ("no",)),
    "transform size": (lambda s, x: build_transform("imagenet", True, size=x), (0,)),
    "transform": (lambda s, x: build_transform(x, True), ("nope",)),
}
CASES = [
    pytest.param(call, value, id=f"{name} {number}")
    for name, (call, values) in CALLS.items()
    for number, value in enumerate(values)
]


@pytest.mark.parametrize(("call", "value"), CASES)
def test_a_call_is_refused(
    call: Callable[[Stage, Any], Any],
    value: Any,
    stage: Stage,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("just text")
    with pytest.raises((ValueError, TypeError, OSError)) as info:
        call(stage, value)
    raised = traceback.extract_tb(info.value.__traceback__)[-1]
    assert Path(raised.filename).is_relative_to(ROOT), f"{raised}: {info.value}"
    assert "\n" not in str(info.value)
    assert list(tmp_path.iterdir()) == [tmp_path / "file"], "something is left behind"
