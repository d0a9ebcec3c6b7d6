"""The published experiments at reduced size, on tiny trees in their data sets' real formats."""

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
IMAGE_SIZE = 32
SETUPS = [name for name in packaged_experiments() if name.startswith("paper/")]


class Quiet:
    """A progress display without output."""

    def work(self, *_: Any) -> None:
        """Print nothing."""

    step = epoch = work


def make_trees(root: Path, images: int = 6) -> Path:
    """All four data sets below one root: 5 training and 3 test classes of some images each."""
    for name, tree in TREES.items():
        # In-shop has queries and gallery, `images` of each.
        tree(root, train=5, test=3, images=min(images, 3) if name == "inshop" else images)
    return root


def reduced(name: str, root: Path, *overrides: str) -> ExperimentConfig:
    """A published experiment with small batches and images, and without pretrained weights."""
    return load_config(
        name,
        [
            f"data.root={root}",
            "data.workers=0",
            f"data.transform.train.size={IMAGE_SIZE}",
            f"data.transform.test={{size: {IMAGE_SIZE}, resize: {IMAGE_SIZE}}}",
            "batch.classes=4",
            "embedder.backbone.args.pretrained=false",
            # Threads that wait for each other cost most of the time on a busy machine.
            "fabric.threads=1",
            *overrides,
        ],
    )


def trainer(config: ExperimentConfig, folder: Path) -> Trainer:
    """A trainer with a new run folder."""
    run = RunFolder(folder)
    run.create(config)
    return Trainer.set_up(config, run, Quiet())
