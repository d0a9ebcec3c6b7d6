"""Class-balanced batches: S classes with P images per class."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Sampler

from gcahng.arguments import is_integer


class ClassBalancedBatchSampler(Sampler[list[int]]):
    """Yield batches of S classes with P images per class, in slot-major order.

    Entry `i` of a batch belongs to the batch's class `i mod S` and is sample `i // S` of that
    class. Every batch draws S classes at random without replacement. Each class cycles through
    its images in shuffled order and reshuffles only when all are used, so within an epoch no
    image repeats before all images of its class were seen. Classes with fewer than P images are
    sampled with replacement.

    The batches depend only on `seed` and the epoch: iterating twice without `set_epoch` gives
    equal batches, and global random state is neither read nor changed.

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
        >>> sampler.set_epoch(1)
        >>> for batch in sampler:
        ...     slots = labels[batch].reshape(2, 2)  # P rows, one column per class
        ...     print(len(set(batch)), bool((slots[0] == slots[1]).all()))
        4 True
        4 True
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
        _check(len(classes), classes_per_batch, samples_per_class)
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
            columns = [self._draw(queues, c, rng) for c in classes.tolist()]
            yield np.stack(columns, axis=1).flatten().tolist()

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


def _check(num_classes: int, classes_per_batch: int, samples_per_class: int) -> None:
    if num_classes < 2:
        problem = "there are no labels" if num_classes == 0 else "all images are of one class"
        raise ValueError(
            f"Cannot sample batches: {problem}, but training needs at least 2 classes."
        )
    if not is_integer(classes_per_batch, 2):
        raise ValueError(
            f"Expected 'classes_per_batch' as an integer of at least 2 (got {classes_per_batch!r})."
        )
    if not is_integer(samples_per_class, 2):
        raise ValueError(
            "Expected 'samples_per_class' as an integer of at least 2, one anchor and one positive "
            f"(got {samples_per_class!r})."
        )
    if num_classes < classes_per_batch:
        raise ValueError(
            f"The training split has {num_classes} classes, fewer than the {classes_per_batch} of "
            f"a batch: lower 'classes_per_batch' to {num_classes} or less."
        )
