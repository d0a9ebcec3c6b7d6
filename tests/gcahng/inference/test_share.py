"""A shared folder is whole, says nothing about this machine, and opens again."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from huggingface_hub import ModelCard
from PIL import Image

from gcahng import load_embedder, load_run
from gcahng.inference import share
from gcahng.inference.share import figures_of, save_model
from gcahng.runs.checkpoint import load_checkpoint, save_checkpoint
from tests.models.published_weights import synthetic_state

ALL = ["README.md", "config.json", "model.safetensors"]


def names(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


@pytest.fixture
def shared(digits_run: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "shared"
    load_embedder(digits_run).save_pretrained(folder)
    return folder


def test_shared_folder(shared: Path, digits_run: Path) -> None:
    assert names(shared) == ALL
    images = torch.rand(4, 1, 8, 8)
    expected = load_embedder(digits_run).embed(images)
    for source in (shared, shared / "model.safetensors"):
        assert torch.equal(load_embedder(source).embed(images), expected)
    assert names(shared.parent) == ["shared"], "nothing else is left"
    # As any new folder and file, not private as temporary ones.
    (shared.parent / "new").mkdir()
    assert shared.stat().st_mode == (shared.parent / "new").stat().st_mode


def test_the_card(shared: Path) -> None:
    text = (shared / "README.md").read_text()
    facts = json.loads((shared / "config.json").read_text())
    figures = facts["figures"]
    card = ModelCard(text)
    data = card.data.to_dict()
    assert data["library_name"] == "gcahng"
    assert data["pipeline_tag"] == "image-feature-extraction"
    assert "license" not in data
    (found,) = data["model-index"][0]["results"]
    assert found["dataset"] == {"name": "digits", "type": "digits", "split": "test"}
    assert {one["type"]: one["value"] for one in found["metrics"]} == figures["metrics"]
    assert "Not stated yet. Fill in `license:` at the top of this file" in text
    assert f"5 classes and 896 images, measured on {figures['date']} after epoch" in text
    assert "ON THE TEST SPLIT: these figures are optimistic." in text
    assert f" {100 * figures['metrics']['map@r']:.2f} |" in text
    assert "| data | digits: 5 classes, 901 images |" in text
    recipe = yaml.safe_load(re.findall("```yaml\n(.*?)```", text, re.DOTALL)[0])
    assert recipe == facts["experiment"]


def test_the_card_tells_how_to_load(shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (code,) = re.findall("```python\n(.*?)```", (shared / "README.md").read_text(), re.DOTALL)
    assert len(code.strip().splitlines()) == 3
    monkeypatch.chdir(shared.parent)
    for name in ("first.jpg", "second.jpg"):
        Image.new("L", (8, 8), 9).save(name)
    space: dict[str, Any] = {}
    exec(code, space)
    assert space["embeddings"].shape == (2, 8)


def test_share_what_was_shared(shared: Path, tmp_path: Path) -> None:
    model = load_embedder(shared)
    (tmp_path / "copy").mkdir()
    (tmp_path / "link").symlink_to("copy")
    model.save_pretrained(tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert names(tmp_path / "copy") == ALL
    for name in set(ALL) - {"model.safetensors"}:
        expected = (shared / name).read_text().replace('embedder("shared")', 'embedder("copy")')
        assert (tmp_path / "copy" / name).read_text() == expected
    assert load_embedder(tmp_path / "copy").fingerprint == model.fingerprint


def test_share_a_published_checkpoint(tmp_path: Path) -> None:
    torch.save(synthetic_state("DINO"), tmp_path / "published.pth")
    model = load_embedder(tmp_path / "published.pth", device="cpu")
    model.save_pretrained(tmp_path / "shared")
    assert names(tmp_path / "shared") == ALL
    text = (tmp_path / "shared" / "README.md").read_text()
    assert "This model comes without figures." in text
    assert "resized to 256, centre cropped to 224, normalised with mean (0.485" in text
    image = torch.rand(3, 40, 30)
    again = load_embedder(tmp_path / "shared", device="cpu")
    assert torch.equal(again.embed(image), model.embed(image))


def test_nothing_about_this_machine(digits_run: Path, tmp_path: Path) -> None:
    secret = tmp_path / "home" / "alice"
    model = load_embedder(shutil.copytree(digits_run, secret / "run"))
    settings = model.config.model_dump()
    settings["data"]["root"] = str(secret / "data")
    settings["output"] = str(secret / "runs")
    settings["embedder"]["backbone"]["args"]["weights"] = f"{secret}/start.pth"
    settings["train"]["loggers"] = [{"name": "wandb", "args": {"entity": "alice@host"}}]
    args = {**model.run.spec.args, "weights": f"{secret}/start.pth"}
    run = replace(model.run, settings=json.dumps(settings), spec=replace(model.run.spec, args=args))
    share.save_model(run, tmp_path / "shared")
    for file in (tmp_path / "shared").iterdir():
        content = file.read_bytes()
        for word in (b"alice", str(tmp_path).encode()):
            assert word not in content, file.name
    found = json.loads((tmp_path / "shared" / "config.json").read_text())
    assert (found["experiment"]["data"]["root"], found["experiment"]["output"]) == (None, "runs")
    assert found["model"]["args"]["weights"] == "start.pth"


def test_folder_of_something_else(digits_run: Path, tmp_path: Path) -> None:
    model = load_embedder(digits_run)
    run = Path(shutil.copytree(digits_run, tmp_path / "run"))
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "README.md").write_text("# Notes\n")
    for folder in (run, tmp_path / "notes"):
        before = {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}
        with pytest.raises(FileExistsError, match="is not empty"):
            model.save_pretrained(folder)
        assert before == {f: f.read_bytes() for f in folder.rglob("*") if f.is_file()}


@pytest.fixture
def run(digits_run: Path, tmp_path: Path) -> Path:
    """A copy of a run, to change."""
    return Path(shutil.copytree(digits_run, tmp_path / "run"))


def change_results(run: Path, **values: object) -> None:
    results = json.loads((run / "results.json").read_text())
    kept = {name: value for name, value in {**results, **values}.items() if value is not None}
    (run / "results.json").write_text(json.dumps(kept))


def test_figures_of_the_best_and_the_last_epoch(run: Path) -> None:
    results = json.loads((run / "results.json").read_text())
    change_results(run, best_epoch=2, date="2026-03-04")
    state = load_checkpoint(run / "checkpoints" / "best.pt")
    save_checkpoint(run / "checkpoints" / "best.pt", state | {"epoch": 2})
    best = figures_of(load_run(run))
    assert best is not None
    gain = 100 * results["gain/map@r"]
    assert f"its features before training: MAP@R {gain:+.2f} [" in best["verdict"]
    optimistic = "ON THE TEST SPLIT: these figures are optimistic."
    assert best == {
        "dataset": "digits",
        "split": "test",
        "date": "2026-03-04",
        "epoch": 2,
        "selected": f"Best epoch chosen by MAP@R {optimistic}",
        "metrics": {
            name.removeprefix("best/"): value
            for name, value in results.items()
            if name.startswith("best/")
        },
        "train_classes": 5,
        "train_images": 901,
        "test_classes": 5,
        "test_images": 896,
        "verdict": best["verdict"],
    }
    last = figures_of(load_run(run, last=True))
    assert last is not None
    assert (last["epoch"], last["selected"]) == (3, "The last epoch.")
    assert last["metrics"]["map@r"] == results["last/map@r"]
    # The weights beside the results are those of the best epoch.
    assert figures_of(load_run(run / "model.safetensors")) == best


def test_a_checkpoint_that_was_not_measured(run: Path) -> None:
    state = load_checkpoint(run / "checkpoints" / "last.pt")
    save_checkpoint(run / "checkpoints" / "epoch-99.pt", state | {"epoch": 99})
    assert figures_of(load_run(run / "checkpoints" / "epoch-99.pt")) is None
    (run / "results.json").unlink()
    assert figures_of(load_run(run)) is None


def test_a_shared_model_keeps_its_figures(run: Path, tmp_path: Path) -> None:
    save_model(load_run(run), tmp_path / "shared")
    assert figures_of(load_run(tmp_path / "shared")) == figures_of(load_run(run))
