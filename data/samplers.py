"""Class-balanced batches: S classes with P images per class."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Sampler

from gcahng.arguments import is_integer


class ClassBalancedBatchSampler(Sampler[list[int]]):
    """Yield batches of S classes with P images per class, in slot-major order.

    Entry `i` of a batch is sample `i // S` of the batch's class `i mod S`. Every batch draws S
    classes at random without replacement. Each class cycles through its images in shuffled order
    and reshuffles only when all are used. Classes with fewer than P images are sampled with
    replacement. The batches depend only on `seed` and the epoch.

    Args:
        labels: `[N]` integer class of each image.
        classes_per_batch: S ≥ 2.
        samples_per_class: P ≥ 2.
        seed: Random seed ≥ 0.

    Raises:
        ValueError: If S or P is below 2, or the labels have fewer than S classes.

    Example:
        >>> labels = torch.tensor([0, 0, 0, 1, 1, 1, 2, 2, 2])
        >>> sampler = ClassBalancedBatchSampler(labels, classes_per_batch=2, samples_per_class=2)
        >>> len(sampler)
        2
        >>> slots = labels[next(iter(sampler))].reshape(2, 2)  # P rows, one column per class
        >>> bool((slots[0] == slots[1]).all())
        True
    """

    def __init__(
        self, labels: Tensor, classes_per_batch: int, samples_per_class: int, seed: int = 0
    ) -> None:
        if labels.ndim != 1 or labels.is_floating_point():
            raise ValueError(
                "Expected 'labels' as a vector of integers "
                f"(got {labels.dtype} of shape {list(labels.shape)})."
            )
        if not is_integer(seed, 0):
            raise ValueError(f"Expected 'seed' as an integer of at least 0 (got {seed!r}).")
        classes = torch.unique(labels)
        sizes = {"classes_per_batch": classes_per_batch, "samples_per_class": samples_per_class}
        for name, size in sizes.items():
            if not is_integer(size, 2):
                raise ValueError(f"Expected {name!r} as an integer of at least 2 (got {size!r}).")
        if len(classes) < classes_per_batch:
            raise ValueError(
                f"The training split has {len(classes)} classes, fewer than the "
                f"{classes_per_batch} of a batch: lower 'classes_per_batch' to {len(classes)}, but "
                "not below 2."
            )
        array = labels.cpu().numpy()
        self.members = [np.flatnonzero(array == label) for label in classes.tolist()]
        self.classes_per_batch = classes_per_batch
        self.samples_per_class = samples_per_class
        self.seed = seed
        self.epoch = 0
        self.num_batches = max(1, len(labels) // (classes_per_batch * samples_per_class))

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch, which seeds the next iteration together with `seed`."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.num_batches

    def __iter__(self) -> Iterator[list[int]]:
        rng = np.random.default_rng([self.seed, self.epoch])
        queues = [rng.permutation(members) for members in self.members]
        for _ in range(self.num_batches):
            classes = rng.choice(len(queues), self.classes_per_batch, replace=False)
            yield _slot_major([self._draw(queues, c, rng) for c in classes.tolist()])

    def _draw(self, queues: list[np.ndarray], c: int, rng: np.random.Generator) -> np.ndarray:
        """Take P images of class number `c` from its queue: `[P]` indices."""
        members, wanted = self.members[c], self.samples_per_class
        if len(members) < wanted:
            return rng.choice(members, wanted)
        drawn, queues[c] = np.split(queues[c], [wanted])
        if len(drawn) < wanted:
            shuffled = rng.permutation(members)
            used = np.isin(shuffled, drawn)
            # Images already in this batch move to the end so that none repeats within it.
            shuffled = np.concatenate([shuffled[~used], shuffled[used]])
            rest, queues[c] = np.split(shuffled, [wanted - len(drawn)])
            drawn = np.concatenate([drawn, rest])
        return drawn


class PublishedBatchSampler(ClassBalancedBatchSampler):
    """Yield class-balanced batches in the order of the published code.

    Each class goes through a shuffle of its images that continues from epoch to epoch. Where fewer
    than P images of the shuffle are left, they are dropped and the class is shuffled anew. An epoch
    has ⌈N/(S·P)⌉ - 1 batches, at least one. Otherwise as `ClassBalancedBatchSampler`.

    Example:
        >>> labels = torch.tensor([0, 0, 0, 0, 1, 1, 1, 1])
        >>> sampler = PublishedBatchSampler(labels, classes_per_batch=2, samples_per_class=2)
        >>> len(sampler)
        1
        >>> first = next(iter(sampler))
        >>> sampler.set_epoch(1)
        >>> sorted(first + next(iter(sampler)))  # the shuffles go on
        [0, 1, 2, 3, 4, 5, 6, 7]
    """

    def __init__(
        self, labels: Tensor, classes_per_batch: int, samples_per_class: int, seed: int = 0
    ) -> None:
        super().__init__(labels, classes_per_batch, samples_per_class, seed)
        size = classes_per_batch * samples_per_class
        self.num_batches = max(1, (len(labels) - 1) // size)
        # How often each class was drawn before `_counted` epochs had passed.
        self._counted, self._drawn = 0, np.zeros(len(self.members), dtype=np.int64)

    def __iter__(self) -> Iterator[list[int]]:
        drawn = self._drawn_before(self.epoch).copy()
        for classes in self._chosen(self.epoch):
            yield _slot_major([self._images(c, drawn[c]) for c in classes])
            drawn[classes] += 1

    def _chosen(self, epoch: int) -> Iterator[np.ndarray]:
        """Yield the S class numbers of each batch of an epoch."""
        rng = np.random.default_rng([self.seed, epoch])
        for _ in range(self.num_batches):
            yield rng.choice(len(self.members), self.classes_per_batch, replace=False)

    def _drawn_before(self, epoch: int) -> np.ndarray:
        """Count how often each class was drawn in all epochs before this one."""
        if epoch < self._counted:
            self._counted, self._drawn = 0, np.zeros_like(self._drawn)
        for earlier in range(self._counted, epoch):
            for classes in self._chosen(earlier):
                self._drawn[classes] += 1
        self._counted = epoch
        return self._drawn

    def _images(self, c: int, draw: int) -> np.ndarray:
        """Take the P images of class number `c` when it is drawn for the `draw`-th time, from 0."""
        members, wanted = self.members[c], self.samples_per_class
        if len(members) < wanted:
            return np.random.default_rng([self.seed, 0, c, draw]).choice(members, wanted)
        shuffle, place = divmod(draw, len(members) // wanted)
        images = np.random.default_rng([self.seed, 1, c, shuffle]).permutation(members)
        return images[place * wanted : (place + 1) * wanted]


def _slot_major(columns: list[np.ndarray]) -> list[int]:
    """Arrange S columns of P images as a batch, slot by slot."""
    flat: list[int] = np.stack(columns, axis=1).flatten().tolist()
    return flat
