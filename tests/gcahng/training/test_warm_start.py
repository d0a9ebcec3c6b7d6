import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from torch import nn

from gcahng.data import Digits, build_transform
from gcahng.models import SmallConv
from gcahng.training import features
from gcahng.training import warm_start as module
from gcahng.training.warm_start import warm_start


def digits() -> Digits:
    return Digits(transform=build_transform("digits", train=True))


def backbone(seed: int = 0) -> SmallConv:
    torch.manual_seed(seed)
    return SmallConv(1, (8, 16), (1, 2))


def same(a: SmallConv, b: SmallConv) -> bool:
    other = b.state_dict()
    return all(torch.equal(value, other[name]) for name, value in a.state_dict().items())


def files(folder: Path) -> int:
    return len(list(folder.glob("*.safetensors")))


def test_repeats_and_is_trained_once(tmp_path: Path) -> None:
    networks = [backbone() for _ in range(3)]
    seen: list[tuple[int, int]] = []
    for network, folder in zip(networks, ("a", "b", "a"), strict=True):
        before = torch.get_rng_state()
        warm_start(
            network.eval(),
            digits(),
            tmp_path / folder,
            seed=0,
            steps=60,
            progress=lambda *args: seen.append(args),
        )
        assert torch.equal(torch.get_rng_state(), before)
        assert not network.training
        assert all(parameter.grad is None for parameter in network.parameters())
    assert [step for step, *_ in seen] == 2 * list(range(1, 61)), "the third was read"
    assert not same(networks[0], backbone())
    assert same(networks[0], networks[1])
    assert same(networks[0], networks[2])
    assert files(tmp_path / "a") == 1


CHANGES = ("seed", "steps", "weights", "classes", "arguments", "code", "code of the data", "torch")


@pytest.mark.parametrize("change", CHANGES)
def test_a_file_is_not_shared_by_what_differs(
    change: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {"seed": 0, "steps": 2, "settings": ("mine:Net", {"pooling": "mean"})}
    warm_start(backbone(), digits(), tmp_path, **settings)
    warm_start(backbone(), digits(), tmp_path, **settings)
    assert files(tmp_path) == 1
    data, start = digits(), backbone(seed=int(change == "weights"))
    if change == "classes":
        data.labels = data.labels.flip(0)
    elif change == "arguments":
        settings["settings"] = ("mine:Net", {"pooling": "amax"})
    elif change in settings:
        settings[change] += 1
    elif change == "torch":
        monkeypatch.setattr(torch, "__version__", "2.0.0")
    elif change != "weights":
        whose = Digits if change == "code of the data" else nn.Module
        monkeypatch.setattr(features, "_source_of", lambda x: b"# new" * isinstance(x, whose))
    warm_start(start, data, tmp_path, **settings)
    assert files(tmp_path) == 2


def test_two_at_once_train_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trained = []

    def train(network: nn.Module, *_: object) -> None:
        trained.append(network)
        time.sleep(0.2)

    monkeypatch.setattr(module, "_train", train)
    with ThreadPoolExecutor() as pool:
        networks = [backbone(), backbone()]
        list(pool.map(lambda one: warm_start(one, digits(), tmp_path, seed=0, steps=3), networks))
    assert len(trained) == 1
