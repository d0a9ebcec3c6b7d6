"""Batches from worker processes: the same as without, and errors as their own sentence."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from gcahng.data import (
    ClassBalancedBatchSampler,
    Digits,
    FeatureLoader,
    ImageDataset,
    ImageLoader,
    TrainLoader,
    build_transform,
)


class Broken(ImageDataset):
    """One image of eight cannot be read."""

    def __init__(self) -> None:
        super().__init__(None, "train")
        self.classes, self.labels = ["a", "b"], torch.arange(8) % 2

    def load(self, index: int) -> Tensor:
        if index == 5:
            raise FileNotFoundError(2, "No such image", f"{index}.jpg")
        return torch.full((1, 2, 2), index, dtype=torch.uint8)


@pytest.mark.parametrize("workers", [0, 2])
def test_an_error_stays_what_it_is(workers: int) -> None:
    batches = iter(ImageLoader(Broken(), batch_size=4, num_workers=workers))
    images, labels = next(batches)
    assert images[:, 0, 0, 0].tolist() == [0, 1, 2, 3]
    assert labels.tolist() == [0, 1, 0, 1]
    with pytest.raises(FileNotFoundError, match=r"^\[Errno 2\] No such image: '5.jpg'$") as info:
        next(batches)
    if workers:
        assert "in load\n" in str(info.value.__cause__), "the traceback of the worker"


class Hung(Broken):
    """Does not come back with its second image."""

    def load(self, index: int) -> Tensor:
        while index:
            time.sleep(60)
        return torch.zeros(1, 2, 2, dtype=torch.uint8)


def test_a_hung_worker_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    # How long torch waits for it.
    monkeypatch.setattr(torch.utils.data._utils, "MP_STATUS_CHECK_INTERVAL", 0.1)
    before = set(multiprocessing.active_children())
    batches = iter(ImageLoader(Hung(), batch_size=1, num_workers=1))
    next(batches)
    (worker,) = set(multiprocessing.active_children()) - before
    # As a cluster sends them to all processes: it is not for the worker to say.
    for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT):
        os.kill(worker.pid or 0, number)
    del batches
    worker.join(30)
    assert worker.exitcode == -signal.SIGKILL


@pytest.mark.slow
def test_a_program_that_keeps_an_iterator_ends() -> None:
    code = """
from gcahng.data import Digits, ImageLoader
batches = iter(ImageLoader(Digits(), num_workers=2))
next(batches)
"""
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True
    )
    assert ended.stderr == ""


def test_workers_do_not_change_the_batches() -> None:
    dataset = Digits(split="test", transform=lambda image: image.float())
    alone, shared = (
        list(ImageLoader(dataset, batch_size=64, num_workers=workers)) for workers in (0, 2)
    )
    assert len(alone) == len(shared) == -(-len(dataset) // 64)
    for (images, labels), (same_images, same_labels) in zip(alone, shared, strict=True):
        assert torch.equal(images, same_images)
        assert torch.equal(labels, same_labels)


def _train_loader(**settings: Any) -> TrainLoader:
    dataset = Digits(transform=build_transform("digits", train=True))
    sampler = ClassBalancedBatchSampler(dataset.labels, 3, 3, seed=4)
    return TrainLoader(dataset, sampler, **settings)


def test_augmentation_depends_on_seed_epoch_and_place_alone() -> None:
    state = torch.get_rng_state()
    batches = list(_train_loader())
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(99)
    loader = _train_loader(num_workers=2)
    for (images, labels), (same_images, same_labels) in zip(batches, loader, strict=True):
        assert torch.equal(images, same_images)
        assert torch.equal(labels, same_labels)
    loader.batches.set_epoch(1)
    assert not torch.equal(next(iter(loader))[0], batches[0][0])


def test_an_epoch_can_begin_with_a_later_batch() -> None:
    batches, loader = list(_train_loader()), _train_loader()
    loader.first = 5
    rest = list(loader)
    assert len(rest) == len(batches) - 5
    assert all(torch.equal(x[0], y[0]) for x, y in zip(rest, batches[5:], strict=True))


def _group(rank: int) -> Any:
    """Two processes of which this is one."""
    return SimpleNamespace(size=lambda: 2, rank=lambda: rank)


@pytest.mark.parametrize("workers", [0, 2])
def test_processes_load_their_parts_of_the_same_batch(workers: int) -> None:
    whole, parts = next(iter(_train_loader())), []
    for rank in range(2):
        loader = _train_loader(num_workers=workers)
        loader.group = _group(rank)  # as a framework does that joins the processes later
        images, labels = next(iter(loader))
        parts.append(images)
        assert torch.equal(labels, whole[1])
    assert torch.equal(torch.cat(parts), whole[0])


def _feature_loader(**settings: Any) -> FeatureLoader:
    """Features that tell image and view: [number of the image, number of the view]."""
    dataset = Digits(transform=build_transform("digits", train=True))
    sampler = ClassBalancedBatchSampler(dataset.labels, 3, 3, seed=4)
    places = torch.arange(len(dataset)).double()
    views = [torch.stack([places, torch.full_like(places, view)], dim=1) for view in range(4)]
    return FeatureLoader(dataset, sampler, views, **settings)


def test_features_come_in_the_batches_of_the_images() -> None:
    loader, images = _feature_loader(), _train_loader()
    assert len(loader) == len(images)
    drawn = []
    for (rows, labels), indices, (_, same) in zip(loader, images.batches, images, strict=True):
        assert rows[:, 0].tolist() == indices
        assert torch.equal(labels, same)
        drawn += rows[:, 1].tolist()
    counts = [drawn.count(view) for view in range(4)]
    assert min(counts) > len(drawn) / 5, "each view has its share"
    loader.batches.set_epoch(1)
    assert next(iter(loader))[0][:, 1].tolist() != drawn[:9]
