import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import nn

from gcahng.data import Digits, Folder, build_transform
from gcahng.models import SmallConv
from gcahng.models.source_code import source_of
from gcahng.training.warm_start import warm_start
from tests.data.trees import photo

STEPS = 120


def digits() -> Digits:
    return Digits(transform=build_transform("digits", train=True))


def backbone(seed: int = 0) -> SmallConv:
    torch.manual_seed(seed)
    return SmallConv(1, (8, 16), (1, 2))


def same(a: SmallConv, b: SmallConv) -> bool:
    other = b.state_dict()
    return all(torch.equal(value, other[name]) for name, value in a.state_dict().items())


def test_learns_and_repeats() -> None:
    first, second, other = backbone(), backbone(), backbone()
    seen: list[tuple[int, int, float]] = []
    accuracy = warm_start(
        first.eval(), digits(), seed=0, steps=STEPS, progress=lambda *args: seen.append(args)
    )
    assert accuracy > 0.6
    assert [step for step, _, _ in seen] == list(range(1, STEPS + 1))
    assert {steps for _, steps, _ in seen} == {STEPS}
    assert seen[-1][2] < seen[0][2] / 2
    assert not first.training
    assert all(parameter.grad is None for parameter in first.parameters())
    assert warm_start(second, digits(), seed=0, steps=STEPS) == accuracy
    assert same(first, second)
    warm_start(other, digits(), seed=1, steps=STEPS)
    assert not same(first, other)


def test_cache_gives_the_same_weights_without_training(tmp_path: Path) -> None:
    first, second = backbone(), backbone()
    accuracy = warm_start(first, digits(), seed=0, steps=4, cache=tmp_path)
    calls: list[int] = []
    again = warm_start(
        second, digits(), seed=0, steps=4, cache=tmp_path, progress=lambda *args: calls.append(1)
    )
    assert again == accuracy
    assert not calls
    assert same(first, second)
    assert len(list(tmp_path.glob("*.safetensors"))) == 1


@pytest.mark.parametrize("change", ["seed", "steps", "lr", "batch_size", "weights", "classes"])
def test_cache_is_not_shared_by_different_settings(tmp_path: Path, change: str) -> None:
    settings = {"seed": 0, "steps": 3, "lr": 4e-3, "batch_size": 8}
    warm_start(backbone(), digits(), cache=tmp_path, **settings)
    data, start = digits(), backbone(seed=int(change == "weights"))
    if change == "classes":
        data.labels = data.labels.flip(0)
    elif change != "weights":
        settings[change] *= 2
        settings["seed"] += int(change == "seed")
    warm_start(start, data, cache=tmp_path, **settings)
    assert len(list(tmp_path.glob("*.safetensors"))) == 2


class Net(nn.Module):
    """A backbone of a user, whose pooling no representation and no weight shows."""

    out_channels = 4

    def __init__(self, pooling: str = "mean") -> None:
        super().__init__()
        self.conv, self.pooling = nn.Conv2d(1, 4, 3), pooling

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = getattr(self.conv(images), self.pooling)(dim=(2, 3))
        return found


@pytest.mark.parametrize("change", ["args", "code of the backbone", "code of the data"])
def test_cache_depends_on_arguments_and_code(
    tmp_path: Path, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def kept(settings: object = ()) -> int:
        torch.manual_seed(0)
        warm_start(Net(), digits(), seed=0, steps=2, cache=tmp_path, settings=settings)
        return len(list(tmp_path.glob("*.safetensors")))

    assert kept() == kept() == 1
    if change == "args":
        assert kept(("mine:Net", {"pooling": "amax"})) == 2
        return
    where, whose = {
        "code of the backbone": ("gcahng.training.warm_start.source_of", nn.Module),
        "code of the data": ("gcahng.training.cache.source_of", Digits),
    }[change]
    original = source_of
    monkeypatch.setattr(where, lambda x: original(x) + b"# new" * isinstance(x, whose))
    assert kept() == kept() == 2


def test_cache_depends_on_every_image(tmp_path: Path) -> None:
    for number in range(40):
        photo(tmp_path / "photos" / f"class {number % 4}" / f"{number:02}.jpg", number)
    transform = build_transform("imagenet", train=False, size=16)

    def kept() -> int:
        torch.manual_seed(0)
        network = SmallConv(3, (4,), (2,))
        dataset = Folder(tmp_path / "photos", "train", transform)
        warm_start(network, dataset, seed=0, steps=2, cache=tmp_path)
        return len(list(tmp_path.glob("*.safetensors")))

    assert kept() == kept() == 1
    for number, path in enumerate(Folder(tmp_path / "photos", "train").paths[:3], start=2):
        photo(Path(path), 99)
        assert kept() == number


def test_damaged_cache_is_trained_again(tmp_path: Path) -> None:
    first, second = backbone(), backbone()
    warm_start(first, digits(), seed=0, steps=3, cache=tmp_path)
    (file,) = tmp_path.glob("*.safetensors")
    file.write_bytes(file.read_bytes()[:100])
    with pytest.warns(UserWarning, match=r"Training the warm start .* again"):
        warm_start(second, digits(), seed=0, steps=3, cache=tmp_path)
    assert same(first, second)
    assert warm_start(backbone(), digits(), seed=0, steps=3, cache=tmp_path) >= 0


def test_global_random_state_is_untouched(tmp_path: Path) -> None:
    before = torch.get_rng_state()
    for _ in range(2):
        network = SmallConv(1, (4,), (2,))
        torch.set_rng_state(before)
        warm_start(network, digits(), seed=0, steps=2, cache=tmp_path)
        assert torch.equal(torch.get_rng_state(), before)


def test_refuses_what_cannot_train() -> None:
    with pytest.raises(ValueError, match="at least 2 steps, 2 images in a batch and 2 classes"):
        warm_start(backbone(), digits(), seed=0, steps=1)


def test_two_at_once_train_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trained = []

    def train(backbone: nn.Module, *_: object) -> float:
        trained.append(backbone)
        time.sleep(0.2)
        return 0.5

    monkeypatch.setattr("gcahng.training.warm_start._train", train)
    start = partial(warm_start, dataset=digits(), seed=0, steps=3, cache=tmp_path)
    networks = [backbone() for _ in range(2)]
    with ThreadPoolExecutor() as pool:
        assert list(pool.map(start, networks)) == [0.5, 0.5]
    assert len(trained) == 1


def test_a_cache_that_cannot_be_written_costs_the_cache_alone(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.warns(UserWarning, match="could not be kept"):
        accuracy = warm_start(backbone(), digits(), seed=0, steps=3, cache=tmp_path / "file" / "x")
    assert 0 <= accuracy <= 1


def test_in_double_precision() -> None:
    double = backbone().double()
    warm_start(double, digits(), seed=0, steps=3)
    weights = list(double.parameters())
    assert all(w.dtype == torch.float64 and w.isfinite().all() for w in weights)


@pytest.mark.parametrize("other", ["torch", "processor"])
def test_cache_is_not_shared_by_another_torch_or_processor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, other: str
) -> None:
    warm_start(backbone(), digits(), seed=0, steps=3, batch_size=8, cache=tmp_path)
    if other == "torch":
        monkeypatch.setattr(torch, "__version__", "2.0.0")
    else:
        monkeypatch.setattr("gcahng.training.cache._processor", lambda device: "another GPU")
    warm_start(backbone(), digits(), seed=0, steps=3, batch_size=8, cache=tmp_path)
    assert len(list(tmp_path.glob("*.safetensors"))) == 2
