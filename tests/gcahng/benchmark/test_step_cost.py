"""The cost of a step, part by part."""

import csv
from itertools import product
from pathlib import Path

import pytest
from rich.console import Console

from gcahng.benchmark.step_cost import COLUMNS, PARTS, run_step_cost
from tests.data.trees import folder_tree

SMALL = [
    "batch.classes=3",
    "embedder.backbone.args.pretrained=false",
    "data.transform.train.size=32",
]


def test_parts_add_up_and_hours_follow(tmp_path: Path) -> None:
    console = Console(record=True, width=200)
    experiments = ["paper/cub_googlenet", "paper/inshop_googlenet"]
    rows = run_step_cost(experiments, SMALL, 1, 1, tmp_path, console)
    names = ["cub_googlenet", "inshop_googlenet"]
    assert [(row["experiment"], row["part"]) for row in rows] == list(product(names, PARTS))
    assert all(row["seconds"] > 0 and row["cpu"] > 0 for row in rows if row["part"] != "rest")
    for name in names:
        data, *parts, step = (row for row in rows if row["experiment"] == name)
        assert "share" not in data, "data are loaded beside the step"
        for clock in ("seconds", "cpu"):
            assert step[clock] == pytest.approx(sum(row[clock] for row in parts))
        assert sum(row["share"] for row in parts) == pytest.approx(step["share"]) == 1
        assert step["hours"] == pytest.approx(
            step["seconds"] * step["steps"] * step["epochs"] / 3600
        )
        assert step["mib"] > 100
    # 5,864 images in batches of 3 × 3, 25,882 in batches of 3 × 2.
    assert [row["steps"] for row in rows if row["part"] == "step"] == [651, 4313]
    page = (tmp_path / "step_cost.md").read_text(encoding="utf-8")
    assert "drawn JPEGs" in page
    assert "ESTIMATE" in page
    with (tmp_path / "step_cost.csv").open(newline="", encoding="utf-8") as file:
        assert next(csv.DictReader(file)).keys() == {column.key for column in COLUMNS}


def test_an_experiments_own_images_and_settings(tmp_path: Path) -> None:
    folder_tree(tmp_path / "photos", classes="abcdefgh", images=4)
    console = Console(record=True, width=200)
    settings = [*SMALL, f"data.root={tmp_path / 'photos'}", "fabric.precision=bf16-mixed"]
    settings += ["generator=null", "fabric.channels_last=true"]
    rows = run_step_cost(["photos"], settings, 1, 1, None, console)
    parts = [row["part"] for row in rows]
    assert parts == ["data", "embedder", "metric loss", "rest", "step"]
    assert rows[-1]["steps"] == 16 // 9, "half of the eight classes are to train on"
    assert "bf16-mixed, its own images" in console.export_text()


def test_ones_own_folder_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nowhere"):
        run_step_cost(["photos"], ["data.root=nowhere"], 1, 1, None, Console())


@pytest.mark.parametrize("precision", ["64-true", "bf16-mixed"])
def test_precisions(precision: str) -> None:
    settings = ["batch.samples=2", f"fabric.precision={precision}"]
    rows = run_step_cost(["digits"], settings, 1, 1, None, Console(record=True))
    assert rows[-1]["part"] == "step"
    assert rows[-1]["seconds"] > 0
