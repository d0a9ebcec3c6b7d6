"""One batch of a run of digits: which images, what is learned on it, what is drawn."""

import shutil
from pathlib import Path

import pytest
import torch

from gcahng import load_run
from gcahng.builders.images import open_plain
from gcahng.graph.visualize import edge_weights
from gcahng.inference.embed_data import embed_data
from gcahng.inference.embedder import load_embedder
from gcahng.reports.batch import choose_batch, learned_batch
from gcahng.reports.batch_pictures import DRAW, draw_batch
from gcahng.reports.run_report import pictures_of
from gcahng.runs.embedding import load_generator
from gcahng.runs.folder import RunFolder
from tests.gcahng.training.test_trainer import _trainer


@pytest.fixture(scope="module")
def run(held_out_run: Path) -> Path:
    return held_out_run


def train(folder: Path, *overrides: str) -> Path:
    trainer = _trainer(folder, "train.epochs=1", *overrides)
    trainer.fit()
    return folder


def test_the_batch_is_the_generators(run: Path) -> None:
    loaded = load_run(run)
    generator, dataset = load_generator(loaded), open_plain(loaded.config, "test")
    assert generator is not None
    state = torch.get_rng_state()
    rows = choose_batch(loaded.config, dataset, 1)
    graph = learned_batch(loaded, generator, dataset, rows)
    assert torch.equal(torch.get_rng_state(), state)
    assert graph.row.tolist() == rows
    assert graph.y.tolist() == dataset.labels[rows].tolist()
    assert graph.name == [dataset.classes[label] for label in graph.y.tolist()]
    images = torch.stack([dataset[row][0] for row in rows])
    torch.testing.assert_close(graph.x, loaded.embedder(images))
    assert not generator.training
    assert not graph.x.requires_grad
    again = learned_batch(loaded, generator, dataset, list(reversed(rows)))
    assert sorted(again.row.tolist()) == sorted(rows)
    torch.rand(3)
    same = learned_batch(loaded, generator, dataset, rows)
    assert torch.equal(same.negatives, graph.negatives), "the draws are the run's own"
    dense = generator.graph(generator.graph.build_graph(graph.x, graph.y))
    torch.testing.assert_close(edge_weights(graph)[0], dense.channel_coefficients.mean(-1).detach())


def test_what_remembers_classes_is_drawn_on_them_alone(tmp_path: Path) -> None:
    run = train(tmp_path / "run", "generator.name=das", "generator.args.channels=4")
    assert "negatives" in draw_batch(load_run(run), "train").figures
    missing = draw_batch(load_run(run)).missing
    assert missing["negatives"].endswith("which only works on training classes: --split train")


def test_negatives_on_the_unit_sphere_are_drawn_there(tmp_path: Path) -> None:
    run = train(tmp_path / "run", "generator.name=scalar", "generator.args.normalize=true")
    graph = draw_batch(load_run(run)).graph
    for points in (graph.x, graph.negatives):
        torch.testing.assert_close(points.norm(dim=-1), torch.ones(points.shape[:-1]))


def test_images_do_not_repeat_in_a_batch(run: Path) -> None:
    config = load_run(run).config
    dataset = open_plain(config, "test")
    counts = dataset.labels.bincount()
    most = int(counts.sort(descending=True).values[1])
    rows = choose_batch(config, dataset, samples=most)
    assert len(set(rows)) == len(rows) == most * int((counts >= most).sum().clamp(max=3))
    with pytest.raises(ValueError, match=f"at most the {most} that two classes have"):
        choose_batch(config, dataset, samples=most + 1)


def test_a_batch_that_cannot_be_drawn_does_not_cost_the_report(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: object, **settings: object) -> None:
        raise ValueError("no such thing")

    monkeypatch.setitem(DRAW, "graph", fail)
    drawn = pictures_of(embed_data(load_embedder(run)), RunFolder(run))
    assert drawn.caption == "The batch could not be drawn: no such thing"


def test_a_shared_model_has_no_generator(run: Path) -> None:
    with pytest.raises(ValueError, match="is an embedder alone: name a run folder"):
        load_generator(load_run(run / "model.safetensors"))


def test_another_generator_is_refused(run: Path, tmp_path: Path) -> None:
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    state = torch.load(copy / "checkpoints" / "best.pt", weights_only=True)
    state["config"] = state["config"].replace("layers: 1", "layers: 3")
    torch.save(state, copy / "checkpoints" / "best.pt")
    loaded = load_run(copy)
    with pytest.raises(ValueError, match="does not hold the weights of the generator"):
        load_generator(loaded)
