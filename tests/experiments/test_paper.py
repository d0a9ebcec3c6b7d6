"""Every published experiment: its values against the published table, and two real steps."""

from itertools import islice
from pathlib import Path

import pytest
import torch

from gcahng.config import load_config
from gcahng.config.layers import EXPERIMENTS
from tests.experiments.setups import SETUPS, make_trees, reduced, trainer

# D, layers/heads, S×P, w_div/w_sim, β/α/γ, lr embedder/classifier/graph, decay every, warm-up,
# frozen, epochs: the authors' configuration files as first released.
TABLE = {
    "cub_googlenet": (512, 2, 4, 27, 3, 10, 10, 30, 4, 20, 1e-4, 1e-3, 3e-4, 30, 1, "bn", 150),
    "cars_googlenet": (512, 2, 4, 27, 3, 10, 10, 30, 4, 20, 1e-4, 1e-3, 3e-4, 30, 1, "bn", 200),
    "sop_googlenet": (512, 1, 2, 40, 2, 20, 20, 20, 5, 20, 3e-4, 1e-3, 1.5e-4, 15, 1, "", 150),
    "inshop_googlenet": (512, 1, 2, 40, 2, 20, 20, 20, 2, 20, 3e-4, 1e-3, 1.5e-4, 15, 1, "", 200),
    "cub_resnet50": (512, 2, 4, 27, 3, 60, 20, 20, 5, 20, 1.5e-4, 1e-3, 1.5e-4, 10, 2, "bn", 100),
    "cars_resnet50": (512, 2, 4, 27, 3, 60, 20, 20, 5, 20, 1.5e-4, 1e-3, 1.5e-4, 10, 2, "bn", 200),
    "sop_resnet50": (512, 1, 2, 40, 2, 60, 20, 20, 5, 20, 2e-4, 1e-3, 1.5e-4, 20, 1, "", 200),
    "inshop_resnet50": (512, 1, 2, 40, 2, 60, 20, 20, 5, 20, 2e-4, 1e-3, 1.5e-4, 20, 1, "", 200),
    "cub_dino": (384, 2, 4, 27, 3, 20, 20, 5, 2, 20, 1e-5, 1e-3, 3e-4, 20, 2, "patch", 50),
    "cars_dino": (384, 2, 4, 27, 3, 20, 20, 5, 2, 20, 3e-5, 1e-3, 3e-4, 10, 2, "patch", 100),
    "sop_dino": (384, 1, 2, 40, 2, 60, 20, 20, 5, 20, 1.5e-5, 1e-3, 3e-4, 20, 1, "patch", 200),
    "inshop_dino": (384, 1, 2, 40, 2, 60, 20, 20, 5, 20, 1.5e-5, 1e-3, 3e-4, 20, 1, "patch", 150),
}
BACKBONES = {"googlenet": "googlenet", "resnet50": "resnet50", "dino": "dino_vits16"}
KS = {
    "cub": [1, 2, 4, 8],
    "cars": [1, 2, 4, 8],
    "sop": [1, 10, 100, 1000],
    "inshop": [1, 10, 20, 30, 40, 50],
}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_trees(tmp_path_factory.mktemp("data"))


def test_there_are_the_twelve_and_three() -> None:
    assert {f"paper/{name}" for name in TABLE} == {n for n in SETUPS if "proxy" not in n}
    assert len(SETUPS) == 15


@pytest.mark.parametrize("name", TABLE)
def test_values_are_the_published_ones(name: str) -> None:
    config = load_config(f"paper/{name}")
    optim, train = config.optim, config.train
    assert config.generator is not None
    args = config.generator.args
    frozen = config.embedder.freeze
    assert (
        config.embedder.dim,
        args["graph"]["layers"],
        args["graph"]["heads"],
        config.batch.classes,
        config.batch.samples,
        args["weights"]["diversity"],
        args["weights"]["similarity"],
        args["beta"],
        args["alpha"],
        args["weights"]["gamma"],
        optim.embedder.lr,
        optim.classifier.lr,
        optim.graph.lr,
        optim.embedder.schedule.every,
        train.warmup_epochs,
        frozen[0] if frozen else "",
        train.epochs,
    ) == TABLE[name]
    data, backbone = name.split("_")
    assert (config.data.name, config.embedder.backbone.name) == (data, BACKBONES[backbone])
    assert ("bn_affine" in frozen) == (name in ("cub_resnet50", "cars_resnet50"))
    assert config.embedder.init == ("orthogonal" if backbone == "dino" else "default")
    assert config.eval.ks == KS[data]
    # The rest is the same everywhere.
    assert (config.loss.name, config.optim.clip, config.data.validation) == ("npair", 10, 0)
    assert set(config.quirks.model_dump().values()) == {"faithful"}
    assert args["graph"]["edge_dropout"] == "independent"
    assert (optim.embedder.weight_decay, optim.graph.weight_decay) == (1e-4, 1e-4)
    assert (optim.classifier.weight_decay, optim.embedder.fc_lr_ratio) == (0.01, 1)
    assert (optim.embedder.schedule.name, optim.embedder.schedule.gamma) == ("step", 0.5)
    assert (optim.graph.schedule.name, optim.classifier.schedule.name) == ("cosine", "constant")
    assert not config.embedder.normalize


@pytest.mark.parametrize("name", [name for name in SETUPS if "proxy" in name])
def test_proxy_anchor_changes_the_loss_alone(name: str) -> None:
    ours = load_config(name).model_dump(exclude={"name", "loss"})
    base = load_config(name.removesuffix("_proxy_anchor"))
    assert ours == base.model_dump(exclude={"name", "loss"})
    loss = load_config(name).loss
    assert (loss.name, loss.args) == ("proxy_anchor", {"alpha": 32, "delta": 0.1})
    assert loss.lr == pytest.approx(100 * base.optim.embedder.lr)


def test_every_value_has_its_source() -> None:
    for file in (EXPERIMENTS / "paper").glob("*.yaml"):
        for line in file.read_text(encoding="utf-8").splitlines():
            code, _, comment = line.partition("#")
            value = code.partition(":")[2].strip().strip("[]{}")
            if any(character.isdigit() for character in value) and "base" not in code:
                assert comment or "proxy" in file.name, f"{file.name}: {line}"


# Each backbone, each data set and each loss.
TRAINED = ("cub_googlenet", "cars_resnet50_proxy_anchor", "sop_dino", "inshop_resnet50")


@pytest.mark.parametrize("name", [f"paper/{name}" for name in TRAINED])
def test_two_real_steps(name: str, root: Path, tmp_path: Path) -> None:
    run = trainer(reduced(name, root), tmp_path / "run")
    splits, embedder = run.experiment.splits, run.experiment.embedder
    assert splits.train.num_classes == 5
    assert splits.test.num_classes == 3
    assert (splits.test.is_query is not None) == ("inshop" in name)
    before = {key: value.clone() for key, value in embedder.state_dict().items()}
    embedder.train()
    for images, labels in islice(run.experiment.loader, 2):
        losses = run.step(images, labels)
        assert all(torch.isfinite(value).all() for value in losses.values())
        assert {"metric", "synthetic", "node_ce", "classifier", "generator"} <= losses.keys()
    moved = {key for key, value in embedder.state_dict().items() if not value.equal(before[key])}
    assert {"fc.1.weight", "fc.0.running_mean"} <= moved
    assert any(key.startswith("backbone.") for key in moved)
