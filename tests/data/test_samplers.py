from collections import Counter

import numpy as np
import pytest
import torch
from torch import Tensor

from gcahng.data import ClassBalancedBatchSampler, PublishedBatchSampler

Batches = list[list[int]]
Sampler = type[ClassBalancedBatchSampler]

both = pytest.mark.parametrize("make", [ClassBalancedBatchSampler, PublishedBatchSampler])


def balanced(classes: int = 6, images: int = 8) -> Tensor:
    return torch.arange(classes).repeat_interleave(images)


def draw(
    labels: Tensor,
    s: int,
    p: int,
    epochs: range = range(1),
    seed: int = 0,
    make: Sampler = ClassBalancedBatchSampler,
) -> Batches:
    sampler = make(labels, s, p, seed)
    batches = []
    for epoch in epochs:
        sampler.set_epoch(epoch)
        batches += list(sampler)
    return batches


@both
def test_batches_are_slot_major_with_distinct_classes(make: Sampler) -> None:
    labels = balanced() * 10 + 7
    for batch in draw(labels, s=4, p=3, make=make):
        assert len(batch) == 12
        slots = labels[batch].reshape(3, 4)
        assert (slots == slots[0]).all()
        assert len(slots[0].unique()) == 4


@pytest.mark.parametrize(("images", "batches"), [(8, 3), (9, 4), (2, 1)])
def test_the_published_length_is_one_less_where_the_batch_divides(
    images: int, batches: int
) -> None:
    sampler = PublishedBatchSampler(balanced(6, images), 4, 3)
    assert len(sampler) == len(list(sampler)) == batches


def test_published_shuffles_go_on_and_drop_what_is_left() -> None:
    # One batch an epoch, both classes in each: two draws of 3 use up a shuffle of 7 but for one.
    labels = balanced(2, 7)
    sampler = PublishedBatchSampler(labels, 2, 3)
    sampler.num_batches = 1
    drawn = []
    for epoch in range(40):
        sampler.set_epoch(epoch)
        drawn.append([i for i in next(iter(sampler)) if i < 7])
    pairs = [first + second for first, second in zip(drawn[::2], drawn[1::2], strict=True)]
    assert all(len(set(images)) == 6 for images in pairs)
    assert set().union(*pairs) == set(range(7))
    assert len({tuple(images) for images in pairs}) > 15


def test_no_image_repeats_before_its_class_is_used_up() -> None:
    # Every batch contains both classes, so a class of 7 images repeats only after 7 draws.
    labels = balanced(2, 7)
    drawn: list[int] = []
    sampler = ClassBalancedBatchSampler(labels, 2, 3)
    sampler.num_batches = 14
    for batch in sampler:
        drawn += [i for i in batch if i < 7]
        assert len(set(batch)) == 6
    assert len(drawn) == 42
    for start in range(0, 42, 7):
        assert sorted(drawn[start : start + 7]) == list(range(7))


@both
def test_classes_with_fewer_images_than_slots_repeat_them(make: Sampler) -> None:
    labels = torch.tensor([0, 1, 1, 1, 1])
    for batch in draw(labels, s=2, p=4, epochs=range(5), make=make):
        images = Counter(batch)
        assert images[0] == 4
        assert [images[i] for i in range(1, 5)] == [1, 1, 1, 1]


@both
def test_batches_follow_from_seed_and_epoch_alone(make: Sampler) -> None:
    labels = balanced()
    sampler = make(labels, 4, 2, seed=1)
    for epoch in (5, 2):  # a later epoch, then an earlier one
        sampler.set_epoch(epoch)
        next(iter(sampler))
    torch.manual_seed(5)
    np.random.seed(5)
    sampler.set_epoch(3)
    expected = draw(labels, 4, 2, range(3, 4), seed=1, make=make)
    assert list(sampler) == list(sampler) == expected
    assert draw(labels, 4, 2, range(4), seed=1, make=make)[-len(expected) :] == expected
    assert expected != draw(labels, 4, 2, range(2, 3), seed=1, make=make)
    first = draw(labels, 4, 2, range(1), seed=1, make=make)
    assert draw(labels, 4, 2, range(1, 2), seed=0, make=make) != first


@pytest.mark.parametrize(
    ("labels", "s", "p", "message"),
    [
        ([], 2, 2, "has 0 classes, fewer than the 2"),
        ([0, 0, 1, 1], 3, 2, "2 classes, fewer than the 3 of a batch: lower 'classes_per"),
        ([0, 0, 1, 1], 1, 2, "'classes_per_batch' as an integer of at least 2"),
        ([0, 0, 1, 1], 2, 1, "'samples_per_class' as an integer of at least 2"),
    ],
)
def test_refuses_what_cannot_fill_a_batch(labels: list[int], s: int, p: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ClassBalancedBatchSampler(torch.tensor(labels, dtype=torch.int64), s, p)
