"""The published set-ups at reduced size, on tiny trees in their data sets' real formats."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from gcahng.config import ExperimentConfig, load_config
from gcahng.config.layers import packaged_experiments
from gcahng.runs.folder import RunFolder
from gcahng.training.trainer import Trainer
from tests.data.trees import cars_tree, cub_tree, inshop_tree, sop_tree

TREES: dict[str, Callable[..., Path]] = {
    "cub": cub_tree,
    "cars": cars_tree,
    "sop": sop_tree,
    "inshop": inshop_tree,
}
SETUPS = [name for name in packaged_experiments() if name.startswith("paper/")]


class Quiet:
    """A display that shows nothing."""

    def warm_start(self, *_: Any) -> None:
        """Show nothing."""

    step = evaluation = epoch = warm_start


def make_trees(root: Path) -> Path:
    """All four data sets below one root: 5 training and 3 test classes of 6 images each."""
    for name, tree in TREES.items():
        tree(root, train=5, test=3, images=3 if name == "inshop" else 6, size=(48, 40))
    return root


def reduced(name: str, root: Path, *overrides: str) -> ExperimentConfig:
    """A published set-up with small batches and images, no weights to fetch."""
    images = 224 if name.endswith("dino") else 64  # a ViT's positions fix its image size
    return load_config(
        name,
        [
            f"data.root={root}",
            "data.workers=0",
            f"data.transform.train.size={images}",
            f"data.transform.test={{size: {images}, resize: {images}}}",
            "batch.classes=4",
            "embedder.backbone.args.pretrained=false",
            "fabric.threads=2",
            *overrides,
        ],
    )


def trainer(config: ExperimentConfig, folder: Path) -> Trainer:
    """A trainer whose run folder is made."""
    run = RunFolder(folder)
    run.create(config)
    return Trainer.set_up(config, run, Quiet())
