"""A frozen backbone embeds each image once, and the training is as if it did so in every step."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor

from gcahng.config import load_config
from gcahng.data import AugmentedView
from gcahng.inference.embedder import load_embedder
from gcahng.jobs.process import Stopped
from gcahng.runs.folder import RunFolder
from gcahng.runs.loading import load_run
from gcahng.training.trainer import Trainer
from gcahng.training.warm_start import warm_start_embedder
from tests.gcahng.training.test_checkpoints import At
from tests.gcahng.training.test_trainer import Quiet, _trainer, results_of

FROZEN = (
    *("embedder.freeze=[backbone]", "data.validation=0.4", "batch.classes=3", "batch.samples=8"),
    "generator.args.graph.layers=0",
)
# Wide enough for a residual head to have the similarities of the features.
RESIDUAL = ("embedder.head=residual", "embedder.dim=64", "train.epochs=2")


@pytest.fixture(scope="module")
def whole(trained: Callable[..., Trainer]) -> Trainer:
    return trained(*FROZEN, *RESIDUAL)


@pytest.fixture
def features(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of features, empty."""
    monkeypatch.setenv("GCAHNG_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "features"


def frozen(folder: Path, *overrides: str) -> Trainer:
    """A training on digits with a frozen backbone."""
    return _trainer(folder, *FROZEN, *overrides)


def weights(trainer: Trainer) -> dict[str, Tensor]:
    state = trainer.experiment.embedder.state_dict()
    return {name: value.clone() for name, value in state.items()}


def calls_of(trainer: Trainer) -> list[int]:
    """Counts of images that the backbone is given from now on."""
    counts: list[int] = []
    backbone = trainer.experiment.embedder.backbone
    backbone.register_forward_hook(lambda module, args, output: counts.append(len(output)))
    return counts


class OneView:
    """Batches of images, of which each has always the same augmentation."""

    def __init__(self, trainer: Trainer) -> None:
        self.loader, self.first = trainer.loader, 0
        self.view = AugmentedView(trainer.experiment.splits.train, 0)

    def __len__(self) -> int:
        return len(self.loader)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        for indices in self.loader.batches:
            images = torch.stack([self.view[index][0] for index in indices])
            yield images, self.loader.labels[indices]


@pytest.mark.slow
@pytest.mark.parametrize("case", ["no augmentation", "one view"])
def test_the_result_is_that_of_embedding_in_every_step(tmp_path: Path, case: str) -> None:
    settings = ["data.views=1", "fabric.precision=64-true"]
    if case == "no augmentation":
        settings = ["data.transform.train={shift: 0}", "data.views=2", *settings[1:]]
    always = frozen(tmp_path / "always", *settings)
    before = weights(always)
    if case == "one view":
        always.loader = OneView(always)  # type: ignore[assignment]
    for _ in range(2):
        always.end_epoch(always.train_epoch())
    kept = frozen(tmp_path / "kept", *settings)
    kept.embed_once()
    counts = calls_of(kept)
    for _ in range(2):
        kept.end_epoch(kept.train_epoch())
    assert counts == []
    expected = weights(always)
    for name, value in weights(kept).items():
        torch.testing.assert_close(value, expected[name], rtol=1e-6, atol=1e-9)
        assert torch.equal(value, before[name]) == name.startswith("backbone."), name
    for row, same in zip(kept.progress.history, always.progress.history, strict=True):
        assert row["val/recall@1"] == same["val/recall@1"]
        assert row["loss/total"] == pytest.approx(same["loss/total"], rel=1e-9)


def test_a_second_run_embeds_nothing_and_gives_the_same(whole: Trainer) -> None:
    second = frozen(whole.folder.path.with_name("again"), *RESIDUAL)
    none = calls_of(second)
    second.fit()
    assert none == [], "neither before the training nor after it"
    assert all(torch.equal(v, weights(second)[k]) for k, v in weights(whole).items())
    assert whole.progress.zero_shot == second.progress.zero_shot


def test_other_seeds_and_more_views_share_the_files(tmp_path: Path, features: Path) -> None:
    state = frozen(tmp_path / "a").experiment.embedder.backbone.state_dict()
    added = []
    for settings in (["data.views=2"], ["seed=1", "data.views=2"], ["data.views=3"]):
        trainer = frozen(tmp_path / "b", *settings)
        trainer.experiment.embedder.backbone.load_state_dict(state)
        splits, counts = trainer.experiment.splits, calls_of(trainer)
        trainer.embed_once()
        added.append(sum(counts))
    plain = len(splits.validation) + len(splits.test)
    assert added == [2 * len(splits.train) + plain, 0, len(splits.train)]


def test_resuming_gives_the_same_after_an_epoch_and_within_one(
    whole: Trainer, tmp_path: Path, features: Path
) -> None:
    stopped = frozen(tmp_path / "stopped", *RESIDUAL)
    stopped.begin()
    stopped.end_epoch(stopped.train_epoch())
    with pytest.raises(Stopped, match="after step 3 of epoch 2"):
        stopped.train_epoch(At(3))
    for file in features.glob("*.safetensors"):
        file.unlink()  # computed again
    resumed = frozen(tmp_path / "stopped", *RESIDUAL)
    resumed.resume()
    assert (resumed.progress.epoch, resumed.progress.step) == (2, 3)
    found, expected = resumed.fit(), results_of(whole)
    assert all(torch.equal(v, weights(resumed)[k]) for k, v in weights(whole).items())
    measured = [name for name in expected if name.startswith(("zero_shot/", "last/", "best/"))]
    assert len(measured) > 20
    assert all(found[name] == expected[name] for name in measured)


def test_a_residual_head_starts_at_the_features_and_needs_no_data_later(whole: Trainer) -> None:
    before = whole.progress.zero_shot
    for metric in ("recall@1", "map@r"):
        assert before[f"head/{metric}"] == pytest.approx(before[f"features/{metric}"], abs=1e-3)
    run, shared = load_run(whole.folder.path), load_embedder(whole.folder.model)
    images = torch.rand(2, 1, 8, 8)
    with torch.no_grad():
        expected = whole.experiment.embedder.eval()(images)
        assert torch.equal(run.embedder(images), expected)
        assert torch.equal(shared.network(images), expected)


def test_the_warm_start_trains_a_backbone_that_is_frozen_afterwards(tmp_path: Path) -> None:
    glyphs = [f"data.root={tmp_path}", "embedder.warm_start.steps=2", "embedder.freeze=[backbone]"]
    config = load_config("quickstart", glyphs)
    trainer = Trainer.set_up(config, RunFolder(tmp_path / "run"), Quiet())
    before = weights(trainer)
    warm_start_embedder(trainer.experiment)
    after = weights(trainer)
    backbone = trainer.experiment.embedder.backbone
    changed = [name for name, _ in backbone.named_parameters() if name.endswith("weight")]
    assert all(not torch.equal(before[f"backbone.{k}"], after[f"backbone.{k}"]) for k in changed)
    assert not any(p.requires_grad for p in backbone.parameters())
    assert not backbone.training
