"""`gcahng visualize` on a run of digits: what it draws, and one sentence for each mistake."""

import json
import shutil
import sys
from pathlib import Path

import networkx
import pytest
import torch
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from gcahng import cli, load_run
from gcahng.builders.images import open_plain
from gcahng.data import Digits
from gcahng.graph.visualize import edge_weights
from gcahng.reports import tensorboard
from gcahng.reports.batch import choose_batch, learned_batch
from gcahng.reports.batch_pictures import TITLES, Selection, draw_batch
from gcahng.reports.run_report import pictures_of
from gcahng.reports.tensorboard import first_classes
from gcahng.runs.folder import RunFolder
from gcahng.runs.loading import embed_split, load_generator
from tests.gcahng.training.test_trainer import _trainer


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    overrides = ["train.epochs=2", "data.validation=0.4", "batch.classes=3"]
    trainer = _trainer(tmp_path_factory.mktemp("run"), *overrides)
    trainer.fit()
    return trainer.folder.path


def train(folder: Path, *overrides: str) -> Path:
    trainer = _trainer(folder, "train.epochs=1", *overrides)
    trainer.fit()
    return folder


def visualize(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["gcahng", "visualize", *map(str, arguments)])
    with pytest.raises(SystemExit) as info:
        cli.main()
    return int(info.value.code or 0)


@pytest.fixture
def few_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw only two of the pictures: a test of the files alone need not wait for the rest."""
    for name in set(TITLES) - {"graph", "hardness"}:
        monkeypatch.delitem(TITLES, name)


def test_everything_there_is(
    run: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "pictures"
    options = ("--out", out, "--export", "graphml", "--export", "gexf", "--layer", 1, "--head", 2)
    assert visualize(monkeypatch, run, *options) == 0
    names = {f"{name}.png" for name in TITLES} | {"graph.html", "graph.graphml", "graph.gexf"}
    assert {file.name for file in out.iterdir()} == names
    for name in TITLES:
        with Image.open(out / f"{name}.png") as picture:
            assert min(picture.size) > 300
    told = capsys.readouterr().out
    assert "digits, seed 0, epoch" in told
    assert "batch 0 of the test split of digits" in told
    assert "left out" not in told
    assert networkx.read_graphml(out / "graph.graphml").number_of_nodes() == 9


@pytest.mark.usefixtures("few_pictures")
def test_pictures_lie_in_the_run_and_link_to_its_report(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (run / "report.html").write_text("the report")
    assert visualize(monkeypatch, run) == 0
    page = (run / "visualize" / "graph.html").read_text(encoding="utf-8")
    assert 'href="../report.html"' in page
    assert 'href="hardness.png"' in page
    shutil.rmtree(run / "visualize")


def test_the_batch_is_the_generators(run: Path) -> None:
    loaded = load_run(run)
    generator, dataset = load_generator(loaded), open_plain(loaded.config, "test")
    assert generator is not None
    rows = choose_batch(loaded.config, dataset, 1)
    graph = learned_batch(loaded, generator, dataset, rows)
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


def test_the_random_state_is_left_alone(run: Path) -> None:
    loaded = load_run(run)
    generator, dataset = load_generator(loaded), open_plain(loaded.config, "val")
    state = torch.get_rng_state()
    rows = choose_batch(loaded.config, dataset)
    learned_batch(loaded, generator, dataset, rows)
    assert torch.equal(torch.get_rng_state(), state)


def test_train_and_val_are_as_they_were_trained_but_plain(run: Path) -> None:
    config = load_run(run).config
    train, val = open_plain(config, "train"), open_plain(config, "val")
    assert (train.num_classes, val.num_classes) == (3, 2)
    assert not set(train.classes) & set(val.classes)
    assert torch.equal(train[0][0], train[0][0]), "no augmentation"


def test_another_shape(run: Path) -> None:
    pictures = draw_batch(load_run(run), Selection(classes=4, samples=5), RunFolder(run))
    assert pictures.graph.x.size(0) == 20
    assert pictures.graph.negatives.shape[:3] == (5, 4, 4)


def test_a_run_without_a_generator_shows_its_correlations(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = train(tmp_path / "run", "generator=null")
    (run / "visualize").mkdir()
    (run / "visualize" / "negatives.png").write_text("of another batch")
    assert visualize(monkeypatch, run) == 0
    told = capsys.readouterr().out
    assert "left out coefficients.png: the run has no generator, so it has no coefficients" in told
    assert "left out negatives.png: the run has no generator, so it has no negatives" in told
    assert "left out hardness.png: the run has no hardness.json" in told
    assert (run / "visualize" / "graph.png").is_file()
    assert not (run / "visualize" / "negatives.png").exists()


def test_what_remembers_classes_is_drawn_on_them_alone(tmp_path: Path) -> None:
    run = train(tmp_path / "run", "generator.name=das", "generator.args.channels=4")
    assert (
        "negatives" in draw_batch(load_run(run), Selection(split="train"), RunFolder(run)).figures
    )
    missing = draw_batch(load_run(run), Selection(), RunFolder(run)).missing
    assert missing["negatives"].endswith("which only works on training classes: --split train")


def test_negatives_on_the_unit_sphere_are_drawn_there(tmp_path: Path) -> None:
    run = train(tmp_path / "run", "generator.name=scalar", "generator.args.normalize=true")
    graph = draw_batch(load_run(run), Selection(), RunFolder(run)).graph
    for points in (graph.x, graph.negatives):
        torch.testing.assert_close(points.norm(dim=-1), torch.ones(points.shape[:-1]))
    row = json.loads((run / "hardness.json").read_text())[0]
    assert row["upper"] <= 2


@pytest.mark.usefixtures("few_pictures")
def test_tensorboard_gets_figures_and_embeddings(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    monkeypatch.setattr(tensorboard, "IMAGES", 200)
    assert visualize(monkeypatch, copy, "--tensorboard") == 0
    events = EventAccumulator(str(copy / "tensorboard")).Reload()
    assert {f"batch graph/{name}" for name in TITLES} <= set(events.Tags()["images"])
    assert "loss/metric" in events.Tags()["scalars"], "those of the training are still there"
    (vectors,) = copy.glob("tensorboard/*/test/tensors.tsv")
    lines = vectors.read_text().splitlines()
    shown = first_classes(open_plain(load_run(copy).config, "test"), 200)
    assert (len(lines), len(lines[0].split("\t"))) == (len(shown), 8)
    names = (vectors.parent / "metadata.tsv").read_text().splitlines()
    assert names == [shown.classes[label] for label in shown.labels.tolist()]


def test_whole_classes_up_to_a_limit() -> None:
    dataset = Digits(None, "test")
    counts = dataset.labels.bincount()
    shown = first_classes(dataset, int(counts[:2].sum()))
    assert shown.labels.bincount().tolist() == counts[:2].tolist()
    assert first_classes(dataset, 1).num_classes == 1


MISTAKES = [
    (["--split", "tets"], "--split: expected one of train, test, val, got 'tets'"),
    (["--batch", "999"], "--batch: expected 0 to "),
    (["--classes", "9"], "--classes: expected at most the 5 that have 3 images each"),
    (["--samples", "500"], "--samples: expected at most the "),
    (["--layer", "3"], "--layer: expected 1 to 1, got 3"),
    (["--layer", "1", "--head", "9"], "--head: expected 1 to 4, got 9"),
    (["--head", "1"], "--head: also give --layer"),
    (["--root", "/no/such/folder"], "--root: there is no folder '/no/such/folder'"),
    (["--export", "dot"], "--export: expected graphml or gexf, got 'dot'"),
]


@pytest.mark.parametrize(("options", "sentence"), MISTAKES)
def test_mistakes(
    run: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    sentence: str,
) -> None:
    assert visualize(monkeypatch, run, "--out", tmp_path / "out", *options) == 1
    told = capsys.readouterr().err
    assert sentence in told
    assert told.startswith("error: ")
    assert not (tmp_path / "out").exists(), "nothing is half-written"


def test_layer_of_a_run_without_a_network(tmp_path: Path) -> None:
    run = train(tmp_path / "run", "generator=null")
    with pytest.raises(ValueError, match="--layer: the run has no graph network"):
        draw_batch(load_run(run), Selection(layer=1), RunFolder(run))


@pytest.mark.usefixtures("few_pictures")
def test_a_checkpoint_outside_of_a_run_writes_only_where_it_is_told(
    run: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    alone = tmp_path / "a" / "b" / "model.pt"
    alone.parent.mkdir(parents=True)
    shutil.copy(run / "checkpoints" / "best.pt", alone)
    assert visualize(monkeypatch, alone) == 1
    assert (
        "is not in a run folder: choose a folder for the pictures with --out"
        in capsys.readouterr().err
    )
    assert visualize(monkeypatch, alone, "--out", tmp_path / "out") == 0
    assert "left out hardness.png" in capsys.readouterr().out
    assert [path.name for path in alone.parent.parent.iterdir()] == ["b"]
    assert visualize(monkeypatch, run, "--out", alone) == 1
    assert "is a file: name a folder" in capsys.readouterr().err


@pytest.mark.usefixtures("few_pictures")
def test_a_checkpoint_of_a_run_is_the_run(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert visualize(monkeypatch, run / "checkpoints" / "last.pt") == 0
    assert (run / "visualize" / "hardness.png").is_file()
    shutil.rmtree(run / "visualize")


def test_images_do_not_repeat_in_a_batch(run: Path) -> None:
    config = load_run(run).config
    dataset = open_plain(config, "test")
    counts = dataset.labels.bincount()
    most = int(counts.sort(descending=True).values[1])
    rows = choose_batch(config, dataset, samples=most)
    assert len(set(rows)) == len(rows) == most * int((counts >= most).sum().clamp(max=3))
    with pytest.raises(ValueError, match=f"at most the {most} that two classes have"):
        choose_batch(config, dataset, samples=most + 1)


def test_too_large_a_batch_is_refused(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = load_run(run).config
    monkeypatch.setattr("gcahng.reports.batch.EDGE_NUMBERS", 8 * 10 * 10)
    with pytest.raises(ValueError, match="at most 10 images together with 8 channels, got 12"):
        choose_batch(config, open_plain(config, "test"), classes=4, samples=3)


OWN = """
from torch import nn
from torch_geometric.nn import MessagePassing

class Halving(nn.Module):
    def __init__(self, in_channels, edge_dim):
        super().__init__()
        self.linear = nn.Linear(in_channels, in_channels)
        self.odd = Odd(aggr="add")

    def forward(self, x, edge_index, edge_attr, y):
        return self.odd(self.linear(x), edge_index), edge_attr

class Odd(MessagePassing):
    def forward(self, x, edge_index):
        return self.propagate(edge_index, x=x, alpha=0.5)

    def message(self, x_j, alpha):
        return alpha * x_j
"""


def test_odd_layers_do_not_cost_the_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "odd_layers.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    run = train(tmp_path / "run", "generator.graph.conv=odd_layers:Halving")
    assert "matrices" in draw_batch(load_run(run), Selection(), RunFolder(run)).figures

    def fail(*args: object) -> None:
        raise RuntimeError("no such thing")

    monkeypatch.setattr("gcahng.reports.batch_pictures.draw_graph", fail)
    drawn = pictures_of(embed_split(load_run(run)), RunFolder(run))
    assert drawn.caption == "The batch could not be drawn: TypeError: " + (
        "test_odd_layers_do_not_cost_the_report.<locals>.fail() got an unexpected keyword argument"
        " 'strongest'"
    )


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
    with pytest.raises(ValueError, match="does not fit the generator of its configuration"):
        load_generator(loaded)
